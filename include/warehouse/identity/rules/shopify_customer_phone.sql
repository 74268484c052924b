/*
title: A Shopify customer carries a phone number.
why: Weak evidence, families share numbers; the guards for phones apply.
inferred: false
*/
SELECT
  'shopify_customer_id' AS left_kind,
  CONCAT(_account, '/', shopify_customer_id) AS left_value,
  'phone' AS right_kind,
  phone AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.shopify__customers
WHERE phone IS NOT NULL
