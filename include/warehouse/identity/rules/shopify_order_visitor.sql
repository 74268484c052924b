/*
title: A Shopify order was made in the browser whose visitor id the theme wrote into the cart.
why: The customer was at that browser then; more than one may use it, and the guards for devices apply.
inferred: false
*/
SELECT
  'shopify_customer_id' AS left_kind,
  CONCAT(_account, '/', shopify_customer_id) AS left_value,
  'anonymous_id' AS right_kind,
  anonymous_id AS right_value,
  COALESCE(ordered_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.shopify__orders
WHERE shopify_customer_id IS NOT NULL AND anonymous_id IS NOT NULL
