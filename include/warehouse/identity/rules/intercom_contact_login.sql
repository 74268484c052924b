/*
title: An Intercom user names the website's user id as its external id.
why: The website tells the messenger who is signed in; a lead has an external id of Intercom's own.
inferred: false
*/
SELECT
  'intercom_contact_id' AS left_kind,
  CONCAT(_account, '/', intercom_contact_id) AS left_value,
  'user_id' AS right_kind,
  user_id AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.intercom__contacts
WHERE user_id IS NOT NULL
