/*
title: A visitor was seen under the id of a tracker's cookie.
why: "It links nothing by itself: it gives the id its age."
inferred: false
*/
SELECT
  'anonymous_id' AS left_kind,
  anonymous_id AS left_value,
  'anonymous_id' AS right_kind,
  CAST(NULL AS STRING) AS right_value,
  ts AS seen_at,
  _seq,
  _key
FROM staging.snowplow__events
WHERE anonymous_id IS NOT NULL
