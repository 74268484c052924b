/*
title: "The Stripe customer that metadata is written to: the newest."
why: "Only in the account that syncs write to: a plain id means nothing in another."
*/
SELECT
  ids.customer_id,
  r.stripe_customer_id AS value,
  'stripe' AS source,
  r._key AS record_key,
  r.created_at AS seen_at,
  1 AS priority
FROM staging.stripe__customers AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'stripe_customer_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.stripe_customer_id)
    AND NOT ids.is_inferred
WHERE r.stripe_customer_id IS NOT NULL AND NOT r.is_deleted AND r._account = 'main'
