/*
title: What each person paid, per currency; money is never added across currencies.
columns:
  customer_id: The person; `customer_id` of marts.customers.
  currency: ISO 4217 code.
  lifetime_value: Sum of the paid orders, in units of the currency.
  order_count: Paid orders in that currency.
  first_order_at: When the first of them was placed, UTC.
  last_order_at: When the latest of them was placed, UTC.
*/
SELECT
  customer_id,
  currency,
  SUM(amount) AS lifetime_value,
  COUNT(*) AS order_count,
  MIN(ordered_at) AS first_order_at,
  MAX(ordered_at) AS last_order_at
FROM marts.orders
WHERE status = 'paid' AND NOT is_inferred_identity
GROUP BY customer_id, currency
