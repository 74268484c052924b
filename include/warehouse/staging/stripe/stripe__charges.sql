/*
title: Stripe charges; amounts in the currency's minor unit as Stripe sends them.
columns:
  stripe_charge_id: Stripe's id of the charge.
  stripe_customer_id: The customer charged; NULL for a guest.
  amount_minor: Amount in the currency's smallest unit, as Stripe sends it.
  currency: ISO 4217 code in capitals.
  status: succeeded, pending or failed.
  is_refunded: Whether the charge was given back in full.
  is_paid: Whether Stripe took the money.
  created_at: When the charge was made, UTC.
  is_deleted: Always FALSE; charges are not deleted.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.id') AS stripe_charge_id,
  NULLIF(JSON_VALUE(_payload, '$.customer'), '') AS stripe_customer_id,
  -- Whole numbers only: engines differ in whether they round others.
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.amount'), r'^-?\d+$') AS INT64) AS amount_minor,
  UPPER(NULLIF(JSON_VALUE(_payload, '$.currency'), '')) AS currency,
  NULLIF(JSON_VALUE(_payload, '$.status'), '') AS status,
  COALESCE(JSON_VALUE(_payload, '$.refunded') = 'true', FALSE) AS is_refunded,
  COALESCE(JSON_VALUE(_payload, '$.paid') = 'true', FALSE) AS is_paid,
  -- Seconds too many for a time would fail the whole statement.
  TIMESTAMP_SECONDS(SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.created'), r'^\d{1,11}$') AS INT64)) AS created_at,
  FALSE AS is_deleted
FROM raw.stripe__charges
