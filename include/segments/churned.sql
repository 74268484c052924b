/*
title: Churned customers
why: They placed a paid order once, and none in the last 90 days.
owner: lifecycle-marketing
key: customer_id
budget: 10 GB
columns:
  customer_id: The person; `customer_id` of marts.customers.
  order_count: Paid orders up to the run's clock, over all currencies.
  last_order_at: When the latest of those orders was placed, UTC.
# To send it, for instance:
# sync:
#   - {to: mailchimp_tag, tag: churned, mode: mirror, consent: email_marketing}
*/
-- An order that was given back, canceled or never paid makes nobody a customer and keeps nobody one.
SELECT
  customer_id,
  COUNT(*) AS order_count,
  MAX(ordered_at) AS last_order_at
FROM marts.orders
WHERE status = 'paid' AND ordered_at <= @as_of
GROUP BY customer_id
HAVING MAX(ordered_at) < TIMESTAMP_SUB(@as_of, INTERVAL 90 DAY)
