/*
title: "The Shopify customer that fields are written to: the one changed last."
why: "Only in the account that syncs write to: a plain id means nothing in another."
*/
SELECT
  ids.customer_id,
  r.shopify_customer_id AS value,
  'shopify' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  1 AS priority
FROM staging.shopify__customers AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'shopify_customer_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.shopify_customer_id)
    AND NOT ids.is_inferred
WHERE r.shopify_customer_id IS NOT NULL AND NOT r.is_deleted AND r._account = 'main'
