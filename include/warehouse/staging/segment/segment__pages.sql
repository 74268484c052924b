/*
title: Page views, one row per message id.
latest_by: loaded_at
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.id') AS event_id,
  NULLIF(JSON_VALUE(_payload, '$.anonymous_id'), '') AS anonymous_id,
  NULLIF(JSON_VALUE(_payload, '$.user_id'), '') AS user_id,
  NULLIF(JSON_VALUE(_payload, '$.name'), '') AS name,
  NULLIF(JSON_VALUE(_payload, '$.url'), '') AS url,
  NULLIF(JSON_VALUE(_payload, '$.path'), '') AS path,
  NULLIF(JSON_VALUE(_payload, '$.referrer'), '') AS referrer,
  SAFE_CAST(JSON_VALUE(_payload, '$.timestamp') AS TIMESTAMP) AS ts,
  SAFE_CAST(JSON_VALUE(_payload, '$.received_at') AS TIMESTAMP) AS received_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.loaded_at') AS TIMESTAMP) AS loaded_at,
  FALSE AS is_deleted
FROM raw.segment__pages
