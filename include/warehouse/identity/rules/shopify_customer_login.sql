/*
title: A Shopify customer names the website's user id as its Multipass identifier.
why: The website signed the customer in to the shop under that id.
inferred: false
*/
SELECT
  'shopify_customer_id' AS left_kind,
  CONCAT(_account, '/', shopify_customer_id) AS left_value,
  'user_id' AS right_kind,
  user_id AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.shopify__customers
WHERE user_id IS NOT NULL
