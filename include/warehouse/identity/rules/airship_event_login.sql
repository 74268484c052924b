/*
title: An event of an app names the named user who was signed in there.
why: It says who held the device at that moment; a family's tablet moves from one to the next.
inferred: false
*/
SELECT
  'channel_id' AS left_kind,
  CONCAT(_account, '/', airship_channel_id) AS left_value,
  'user_id' AS right_kind,
  user_id AS right_value,
  ts AS seen_at,
  _seq,
  _key
FROM staging.collector__airship_events
WHERE airship_channel_id IS NOT NULL AND user_id IS NOT NULL
