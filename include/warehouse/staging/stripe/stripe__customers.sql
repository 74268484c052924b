/*
title: Stripe customers, deleted ones marked; metadata.user_id names the website's user id.
columns:
  stripe_customer_id: Stripe's id of the customer.
  email: Address receipts go to.
  full_name: Name of the payer.
  phone: Phone number of the payer.
  user_id: The website's user id that the checkout wrote into `metadata.user_id`.
  created_at: When the customer was made in Stripe, UTC.
  is_deleted: Whether the customer was deleted in Stripe; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.id') AS stripe_customer_id,
  NULLIF(JSON_VALUE(_payload, '$.email'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.name'), '') AS full_name,
  NULLIF(JSON_VALUE(_payload, '$.phone'), '') AS phone,
  NULLIF(JSON_VALUE(_payload, '$.metadata.user_id'), '') AS user_id,
  -- Seconds too many for a time would fail the whole statement.
  TIMESTAMP_SECONDS(SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.created'), r'^\d{1,11}$') AS INT64)) AS created_at,
  COALESCE(JSON_VALUE(_payload, '$.deleted') = 'true', FALSE) OR _deleted_at IS NOT NULL AS is_deleted
FROM raw.stripe__customers
