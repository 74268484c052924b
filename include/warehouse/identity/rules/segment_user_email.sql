/*
title: A signed-in user's traits carry their address.
why: The site sends the address of the account.
inferred: false
*/
SELECT
  'user_id' AS left_kind,
  user_id AS left_value,
  'email' AS right_kind,
  email AS right_value,
  ts AS seen_at,
  _seq,
  _key
FROM staging.segment__identifies
WHERE user_id IS NOT NULL AND email IS NOT NULL
