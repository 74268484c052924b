/*
title: A SendGrid contact names the website's user id as its external id.
why: The sync that fills the list writes the external id.
inferred: false
*/
SELECT
  'sendgrid_contact_id' AS left_kind,
  CONCAT(_account, '/', sendgrid_contact_id) AS left_value,
  'user_id' AS right_kind,
  user_id AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.sendgrid__contacts
WHERE user_id IS NOT NULL
