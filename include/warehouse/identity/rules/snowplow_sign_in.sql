/*
title: An event carries the user id beside the tracker's cookie, or beside the collector's where there is no other.
why: The user was signed in on that device at that moment.
inferred: false
*/
SELECT
  'user_id' AS left_kind,
  user_id AS left_value,
  IF(anonymous_id IS NULL AND network_user_id IS NOT NULL, 'device_id', 'anonymous_id') AS right_kind,
  COALESCE(anonymous_id, network_user_id) AS right_value,
  ts AS seen_at,
  _seq,
  _key
FROM staging.snowplow__events
WHERE user_id IS NOT NULL
