/*
title: An event carries the tracker's cookie of one site beside the collector's cookie of all sites.
why: Both cookies lie in the same browser, so visits to the company's other sites are of the same device.
inferred: false
*/
SELECT
  'anonymous_id' AS left_kind,
  anonymous_id AS left_value,
  'device_id' AS right_kind,
  network_user_id AS right_value,
  ts AS seen_at,
  _seq,
  _key
FROM staging.snowplow__events
WHERE anonymous_id IS NOT NULL AND network_user_id IS NOT NULL
