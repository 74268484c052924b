/*
title: Airship named users, each the website's user id.
columns:
  user_id: The website's user id, which Airship calls the named user's id.
  channel_count: How many channels belong to the named user.
  created_at: When the named user was made, UTC.
  updated_at: When Airship last changed the named user, UTC; our own tags change it too.
  is_deleted: Whether a key sweep found it gone; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  NULLIF(JSON_VALUE(_payload, '$.named_user_id'), '') AS user_id,
  COALESCE(ARRAY_LENGTH(JSON_QUERY_ARRAY(_payload, '$.channels')), 0) AS channel_count,
  SAFE_CAST(JSON_VALUE(_payload, '$.created') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.last_modified') AS TIMESTAMP) AS updated_at,
  _deleted_at IS NOT NULL AS is_deleted
FROM raw.airship__named_users
