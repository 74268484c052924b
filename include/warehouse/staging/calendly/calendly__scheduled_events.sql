/*
title: Calendly meetings.
latest_by: updated_at
columns:
  calendly_event_uri: Calendly's URI of the meeting, its id.
  name: Name of the kind of meeting, such as a demo.
  status: active or canceled.
  starts_at: When the meeting begins, UTC.
  ends_at: When the meeting ends, UTC.
  created_at: When the meeting was booked, UTC.
  updated_at: When Calendly last changed the meeting, UTC.
  is_deleted: Whether the meeting was canceled; such records stay, marked.
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
