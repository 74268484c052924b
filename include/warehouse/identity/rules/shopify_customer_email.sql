/*
title: A Shopify customer has an address.
why: Order confirmations go there, so the customer reads it.
inferred: false
*/
SELECT
  'shopify_customer_id' AS left_kind,
  CONCAT(_account, '/', shopify_customer_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.shopify__customers
WHERE email IS NOT NULL
