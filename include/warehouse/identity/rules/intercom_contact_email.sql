/*
title: An Intercom contact has an address.
why: Replies go there, so the contact reads it.
inferred: false
*/
SELECT
  'intercom_contact_id' AS left_kind,
  CONCAT(_account, '/', intercom_contact_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.intercom__contacts
