/*
title: Shopify orders, latest state of each; cancelled and refunded ones included.
latest_by: updated_at
columns:
  shopify_order_id: Shopify's number of the order, the last part of its global id.
  shopify_customer_id: The customer; `shopify_customer_id` of staging.shopify__customers, NULL for sales at a counter.
  order_name: What the customer knows the order by, such as "#1001".
  email: Address given with the order; it may differ from the customer's.
  phone: Phone number given with the order.
  anonymous_id: The website's visitor id, where the theme wrote it into the cart.
  financial_status: paid, pending, authorized, partially_paid, partially_refunded, refunded, voided or expired.
  fulfillment_status: unfulfilled, fulfilled and others.
  amount: What the order came to when it was made, in the shop's currency.
  amount_refunded: What of it was given back.
  currency: The shop's currency, ISO 4217 in capitals.
  item_count: Pieces in the order.
  is_test: Whether the order was made with a test payment.
  ordered_at: When the order was made, UTC; imported orders keep their first time (`processedAt`).
  canceled_at: When it was cancelled, UTC.
  created_at: When the record was made in Shopify, UTC.
  updated_at: When Shopify last changed the order, UTC.
  is_deleted: Whether a key sweep found it gone; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  REGEXP_EXTRACT(JSON_VALUE(_payload, '$.id'), r'(\d+)$') AS shopify_order_id,
  REGEXP_EXTRACT(JSON_VALUE(_payload, '$.customer.id'), r'(\d+)$') AS shopify_customer_id,
  NULLIF(JSON_VALUE(_payload, '$.name'), '') AS order_name,
  NULLIF(JSON_VALUE(_payload, '$.email'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.phone'), '') AS phone,
  (
    SELECT MAX(NULLIF(JSON_VALUE(attribute, '$.value'), ''))
    FROM UNNEST(JSON_QUERY_ARRAY(_payload, '$.customAttributes')) AS attribute
    WHERE JSON_VALUE(attribute, '$.key') = 'anonymous_id'
  ) AS anonymous_id,
  LOWER(NULLIF(JSON_VALUE(_payload, '$.displayFinancialStatus'), '')) AS financial_status,
  LOWER(NULLIF(JSON_VALUE(_payload, '$.displayFulfillmentStatus'), '')) AS fulfillment_status,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.totalPriceSet.shopMoney.amount'), '') AS NUMERIC) AS amount,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.totalRefundedSet.shopMoney.amount'), '') AS NUMERIC) AS amount_refunded,
  UPPER(NULLIF(JSON_VALUE(_payload, '$.totalPriceSet.shopMoney.currencyCode'), '')) AS currency,
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.subtotalLineItemsQuantity'), r'^\d+$') AS INT64) AS item_count,
  COALESCE(JSON_VALUE(_payload, '$.test') = 'true', FALSE) AS is_test,
  SAFE_CAST(
    COALESCE(JSON_VALUE(_payload, '$.processedAt'), JSON_VALUE(_payload, '$.createdAt')) AS TIMESTAMP
  ) AS ordered_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.cancelledAt') AS TIMESTAMP) AS canceled_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.createdAt') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.updatedAt') AS TIMESTAMP) AS updated_at,
  _deleted_at IS NOT NULL AS is_deleted
FROM raw.shopify__orders
