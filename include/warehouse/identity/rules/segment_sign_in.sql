/*
title: An event carries both the anonymous id and the user id.
why: The user was signed in on that device at that moment.
inferred: false
*/
SELECT
  'user_id' AS left_kind,
  user_id AS left_value,
  'anonymous_id' AS right_kind,
  anonymous_id AS right_value,
  ts AS seen_at,
  _seq,
  _key
FROM staging.segment__pages
WHERE user_id IS NOT NULL
UNION ALL
SELECT
  'user_id' AS left_kind,
  user_id AS left_value,
  'anonymous_id' AS right_kind,
  anonymous_id AS right_value,
  ts AS seen_at,
  _seq,
  _key
FROM staging.segment__tracks
WHERE user_id IS NOT NULL
UNION ALL
SELECT
  'user_id' AS left_kind,
  user_id AS left_value,
  'anonymous_id' AS right_kind,
  anonymous_id AS right_value,
  ts AS seen_at,
  _seq,
  _key
FROM staging.segment__identifies
WHERE user_id IS NOT NULL
