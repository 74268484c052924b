/*
title: Shopify checkouts that were left after the customer had given an address.
latest_by: updated_at
columns:
  shopify_checkout_id: Shopify's number of the checkout, the last part of its global id.
  shopify_customer_id: The customer; `shopify_customer_id` of staging.shopify__customers.
  anonymous_id: The website's visitor id, where the theme wrote it into the cart.
  amount: What the cart came to, in the shop's currency.
  currency: The shop's currency, ISO 4217 in capitals.
  line_count: Different goods in the cart; at most ten are counted in what pages show.
  first_item_title: The first of the goods.
  recovery_url: Where the customer can go on; whoever has it sees the cart.
  created_at: When the checkout began, UTC.
  completed_at: When it became an order after all, UTC; NULL while it is abandoned.
  updated_at: When Shopify last changed the checkout, UTC.
  is_deleted: Always FALSE; a query only lacks deleted checkouts.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  REGEXP_EXTRACT(JSON_VALUE(_payload, '$.id'), r'(\d+)$') AS shopify_checkout_id,
  REGEXP_EXTRACT(JSON_VALUE(_payload, '$.customer.id'), r'(\d+)$') AS shopify_customer_id,
  (
    SELECT MAX(NULLIF(JSON_VALUE(attribute, '$.value'), ''))
    FROM UNNEST(JSON_QUERY_ARRAY(_payload, '$.customAttributes')) AS attribute
    WHERE JSON_VALUE(attribute, '$.key') = 'anonymous_id'
  ) AS anonymous_id,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.totalPriceSet.shopMoney.amount'), '') AS NUMERIC) AS amount,
  UPPER(NULLIF(JSON_VALUE(_payload, '$.totalPriceSet.shopMoney.currencyCode'), '')) AS currency,
  COALESCE(ARRAY_LENGTH(JSON_QUERY_ARRAY(_payload, '$.lineItems.nodes')), 0) AS line_count,
  NULLIF(JSON_VALUE(_payload, '$.lineItems.nodes[0].title'), '') AS first_item_title,
  NULLIF(JSON_VALUE(_payload, '$.abandonedCheckoutUrl'), '') AS recovery_url,
  SAFE_CAST(JSON_VALUE(_payload, '$.createdAt') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.completedAt') AS TIMESTAMP) AS completed_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.updatedAt') AS TIMESTAMP) AS updated_at,
  FALSE AS is_deleted
FROM raw.shopify__abandoned_checkouts
