/*
title: A SendGrid contact names the website's visitor id.
why: The form that made the contact ran in the visitor's browser.
inferred: false
*/
SELECT
  'sendgrid_contact_id' AS left_kind,
  CONCAT(_account, '/', sendgrid_contact_id) AS left_value,
  'anonymous_id' AS right_kind,
  anonymous_id AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.sendgrid__contacts
WHERE anonymous_id IS NOT NULL
