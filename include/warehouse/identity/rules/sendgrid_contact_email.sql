/*
title: A SendGrid contact has an address.
why: SendGrid knows a contact by its address.
inferred: false
*/
SELECT
  'sendgrid_contact_id' AS left_kind,
  CONCAT(_account, '/', sendgrid_contact_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.sendgrid__contacts
WHERE email IS NOT NULL
