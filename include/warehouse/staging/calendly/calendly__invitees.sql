/*
title: Who booked a Calendly meeting; utm_term carries the visitor's anonymous id.
latest_by: updated_at
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  REGEXP_EXTRACT(JSON_VALUE(_payload, '$.uri'), r'([^/]+)$') AS calendly_invitee_id,
  JSON_VALUE(_payload, '$.uri') AS calendly_invitee_uri,
  JSON_VALUE(_payload, '$.event') AS calendly_event_uri,
  NULLIF(JSON_VALUE(_payload, '$.email'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.name'), '') AS full_name,
  NULLIF(JSON_VALUE(_payload, '$.text_reminder_number'), '') AS phone,
  NULLIF(JSON_VALUE(_payload, '$.tracking.utm_term'), '') AS utm_term,
  NULLIF(JSON_VALUE(_payload, '$.status'), '') AS status,
  JSON_QUERY(_payload, '$.no_show') IS NOT NULL AND JSON_VALUE(_payload, '$.no_show.uri') IS NOT NULL AS is_no_show,
  SAFE_CAST(JSON_VALUE(_payload, '$.created_at') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.updated_at') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.status') = 'canceled', FALSE) AS is_deleted
FROM raw.calendly__invitees
