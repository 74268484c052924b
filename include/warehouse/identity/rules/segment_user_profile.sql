/*
title: The users table carries the latest address of each account.
why: The site sends the address of the account.
inferred: false
*/
SELECT
  'user_id' AS left_kind,
  user_id AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(received_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.segment__users
