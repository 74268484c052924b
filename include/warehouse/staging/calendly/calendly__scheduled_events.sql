/*
title: Calendly meetings.
latest_by: updated_at
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.uri') AS calendly_event_uri,
  NULLIF(JSON_VALUE(_payload, '$.name'), '') AS name,
  NULLIF(JSON_VALUE(_payload, '$.status'), '') AS status,
  SAFE_CAST(JSON_VALUE(_payload, '$.start_time') AS TIMESTAMP) AS starts_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.end_time') AS TIMESTAMP) AS ends_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.created_at') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.updated_at') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.status') = 'canceled', FALSE) AS is_deleted
FROM raw.calendly__scheduled_events
