/*
title: Stripe charges; amounts in the currency's minor unit as Stripe sends them.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.id') AS stripe_charge_id,
  NULLIF(JSON_VALUE(_payload, '$.customer'), '') AS stripe_customer_id,
  SAFE_CAST(JSON_VALUE(_payload, '$.amount') AS INT64) AS amount_minor,
  UPPER(NULLIF(JSON_VALUE(_payload, '$.currency'), '')) AS currency,
  NULLIF(JSON_VALUE(_payload, '$.status'), '') AS status,
  COALESCE(JSON_VALUE(_payload, '$.refunded') = 'true', FALSE) AS is_refunded,
  COALESCE(JSON_VALUE(_payload, '$.paid') = 'true', FALSE) AS is_paid,
  TIMESTAMP_SECONDS(SAFE_CAST(JSON_VALUE(_payload, '$.created') AS INT64)) AS created_at,
  FALSE AS is_deleted
FROM raw.stripe__charges
