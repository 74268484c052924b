/*
title: Abandoned carts
why: They put something into a cart, or left a checkout, in the last 7 days and did not check out since.
owner: lifecycle-marketing
key: customer_id
budget: 50 GB
columns:
  customer_id: The person; `customer_id` of marts.customers.
  cart_at: When they last put something into a cart or left a checkout, UTC.
  added_count: How many times they put something into a cart in the 7 days before the run's clock.
# To send it, for instance:
# sync:
#   - {to: mailchimp_tag, tag: abandoned-cart, mode: mirror, consent: email_marketing}
*/
WITH
steps AS (
  SELECT
    customer_id,
    ts,
    CASE
      WHEN activity IN ('product_added', 'add_to_cart') THEN 'cart'
      -- Shopify's own record of a cart whose owner gave an address and went.
      WHEN activity = 'abandoned_checkout' THEN 'left'
      -- A card that was refused is no order, and yet a checkout.
      WHEN activity IN ('checkout_started', 'failed_order') THEN 'checkout'
      WHEN activity IN ('completed_checkout', 'order_completed', 'placed_order', 'awaited_payment') THEN 'order'
      WHEN activity IN ('canceled_order', 'refunded_order') THEN 'order'
    END AS step
  FROM marts.activities
  WHERE ts >= TIMESTAMP_SUB(@as_of, INTERVAL 7 DAY) AND ts <= @as_of
),

people AS (
  SELECT
    customer_id,
    COUNTIF(step = 'cart') AS added_count,
    MAX(IF(step = 'cart', ts, NULL)) AS added_at,
    MAX(IF(step = 'left', ts, NULL)) AS left_at,
    MAX(IF(step IN ('checkout', 'order'), ts, NULL)) AS checked_out_at,
    MAX(IF(step = 'order', ts, NULL)) AS ordered_at
  FROM steps
  WHERE step IS NOT NULL
  GROUP BY customer_id
)

SELECT
  customer_id,
  GREATEST(COALESCE(added_at, left_at), COALESCE(left_at, added_at)) AS cart_at,
  added_count
FROM people
WHERE
  added_at > COALESCE(checked_out_at, TIMESTAMP '1970-01-01 00:00:00+00')
  -- A checkout that was left had begun; only an order ends it.
  OR left_at > COALESCE(ordered_at, TIMESTAMP '1970-01-01 00:00:00+00')
