/*
title: Zendesk users; external_id is the website's user id where it was synced.
latest_by: updated_at
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.id') AS zendesk_user_id,
  NULLIF(JSON_VALUE(_payload, '$.email'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.name'), '') AS full_name,
  NULLIF(JSON_VALUE(_payload, '$.phone'), '') AS phone,
  NULLIF(JSON_VALUE(_payload, '$.external_id'), '') AS user_id,
  NULLIF(JSON_VALUE(_payload, '$.role'), '') AS role,
  SAFE_CAST(JSON_VALUE(_payload, '$.created_at') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.updated_at') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.active') = 'false', FALSE) AS is_deleted
FROM raw.zendesk__users
