/*
title: Airship channels, apps, browsers and addresses that can be reached.
columns:
  airship_channel_id: Airship's id of the channel.
  user_id: The website's user id of whoever is signed in (the channel's named user); moves when somebody else signs in.
  channel_type: ios, android, amazon, web, email, sms or open.
  is_installed: Whether the app is still there, or the address still good.
  has_opted_in: Whether the channel may be written to.
  created_at: When the channel was made, UTC.
  registered_at: When the app last called, UTC.
  is_deleted: Whether the app was removed; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.channel_id') AS airship_channel_id,
  NULLIF(JSON_VALUE(_payload, '$.named_user_id'), '') AS user_id,
  NULLIF(JSON_VALUE(_payload, '$.device_type'), '') AS channel_type,
  COALESCE(JSON_VALUE(_payload, '$.installed') = 'true', FALSE) AS is_installed,
  COALESCE(JSON_VALUE(_payload, '$.opt_in') = 'true', FALSE) AS has_opted_in,
  SAFE_CAST(JSON_VALUE(_payload, '$.created') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.last_registration') AS TIMESTAMP) AS registered_at,
  COALESCE(JSON_VALUE(_payload, '$.installed') = 'false', FALSE) AS is_deleted
FROM raw.airship__channels
