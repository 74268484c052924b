/*
title: A Shopify order was made under an address.
why: The customer gave it for the confirmation; it may be another one than the customer record has.
inferred: false
*/
SELECT
  'shopify_customer_id' AS left_kind,
  CONCAT(_account, '/', shopify_customer_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(ordered_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.shopify__orders
WHERE shopify_customer_id IS NOT NULL AND email IS NOT NULL
