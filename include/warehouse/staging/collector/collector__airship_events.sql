/*
title: What apps and pushes did, one row per event of Airship's stream.
columns:
  event_id: Airship's id of the event.
  airship_channel_id: The app or browser; `airship_channel_id` of staging.airship__channels.
  user_id: The website's user id of whoever was signed in there (the named user).
  kind: Airship's type in lower case, such as send, open, uninstall, or custom for what the app itself tells.
  name: What the app calls a custom event.
  push_id: The push it is about, or that led to it.
  ts: When it happened on the device, UTC; when it was received here, where Airship does not say.
  is_deleted: Always FALSE; events are not taken back.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  COALESCE(JSON_VALUE(_payload, '$.id'), _key) AS event_id,
  COALESCE(
    JSON_VALUE(_payload, '$.device.ios_channel'),
    JSON_VALUE(_payload, '$.device.android_channel'),
    JSON_VALUE(_payload, '$.device.amazon_channel'),
    JSON_VALUE(_payload, '$.device.web_channel')
  ) AS airship_channel_id,
  NULLIF(JSON_VALUE(_payload, '$.device.named_user_id'), '') AS user_id,
  LOWER(NULLIF(JSON_VALUE(_payload, '$.type'), '')) AS kind,
  NULLIF(JSON_VALUE(_payload, '$.body.name'), '') AS name,
  COALESCE(
    JSON_VALUE(_payload, '$.body.push_id'), JSON_VALUE(_payload, '$.body.triggering_push.push_id')
  ) AS push_id,
  COALESCE(SAFE_CAST(JSON_VALUE(_payload, '$.occurred') AS TIMESTAMP), _extracted_at) AS ts,
  FALSE AS is_deleted
FROM raw.collector__airship_events
