/*
title: A message to an address names the website's user id in its metadata.
why: The website wrote to its own user at that address.
inferred: false
*/
SELECT
  'email' AS left_kind,
  email AS left_value,
  'user_id' AS right_kind,
  user_id AS right_value,
  COALESCE(sent_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.mandrill__messages
WHERE email IS NOT NULL AND user_id IS NOT NULL
