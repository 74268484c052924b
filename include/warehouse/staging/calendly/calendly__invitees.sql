/*
title: Who booked a Calendly meeting; utm_term carries the visitor's anonymous id.
latest_by: updated_at
columns:
  calendly_invitee_id: Calendly's id of the invitee, the last part of its URI; one per person and booking.
  calendly_invitee_uri: Calendly's full URI of the invitee.
  calendly_event_uri: URI of the meeting booked; `calendly_event_uri` of staging.calendly__scheduled_events.
  email: Address the invitee typed.
  full_name: Name the invitee typed.
  phone: Number the invitee gave for text reminders.
  utm_term: Tracking parameter of the booking link; the website puts the visitor's anonymous id there.
  status: active or canceled.
  is_no_show: Whether the host marked the invitee as not having come.
  created_at: When the meeting was booked, UTC.
  updated_at: When Calendly last changed the invitee, UTC.
  is_deleted: Whether the booking was canceled; such records stay, marked.
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
