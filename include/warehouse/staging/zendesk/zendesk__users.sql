/*
title: Zendesk users; external_id is the website's user id where it was synced.
latest_by: updated_at
columns:
  zendesk_user_id: Zendesk's number of the user.
  email: Primary address of the user; NULL for people who only called or chatted.
  full_name: Name as Zendesk shows it.
  phone: Primary phone number of the user.
  user_id: The website's user id, where a sync wrote it into `external_id`.
  role: end-user, agent or admin.
  created_at: When the record was made in Zendesk, UTC.
  updated_at: When Zendesk last changed the record, UTC; our own syncs change it too.
  is_deleted: Whether the user was deleted in Zendesk; such records stay, marked.
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
