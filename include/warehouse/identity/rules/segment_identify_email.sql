/*
title: An identify call without a user id ties an address to the device.
why: The visitor typed the address into a form on that device.
inferred: false
*/
SELECT
  'email' AS left_kind,
  email AS left_value,
  'anonymous_id' AS right_kind,
  anonymous_id AS right_value,
  ts AS seen_at,
  _seq,
  _key
FROM staging.segment__identifies
WHERE email IS NOT NULL AND user_id IS NULL
