/*
title: Stripe customers, deleted ones marked; metadata.user_id names the website's user id.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.id') AS stripe_customer_id,
  NULLIF(JSON_VALUE(_payload, '$.email'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.name'), '') AS full_name,
  NULLIF(JSON_VALUE(_payload, '$.phone'), '') AS phone,
  NULLIF(JSON_VALUE(_payload, '$.metadata.user_id'), '') AS user_id,
  TIMESTAMP_SECONDS(SAFE_CAST(JSON_VALUE(_payload, '$.created') AS INT64)) AS created_at,
  COALESCE(JSON_VALUE(_payload, '$.deleted') = 'true', FALSE) AS is_deleted
FROM raw.stripe__customers
