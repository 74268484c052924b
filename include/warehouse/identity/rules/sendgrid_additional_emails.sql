/*
title: A SendGrid contact has further addresses.
why: Whoever filled the list says that they reach the same person.
inferred: false
*/
SELECT
  'sendgrid_contact_id' AS left_kind,
  CONCAT(_account, '/', sendgrid_contact_id) AS left_value,
  'email' AS right_kind,
  additional_email AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.sendgrid__contacts
CROSS JOIN UNNEST(SPLIT(additional_emails, ',')) AS additional_email
WHERE additional_email != ''
