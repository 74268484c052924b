/*
title: What each person paid, per currency; money is never added across currencies.
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
