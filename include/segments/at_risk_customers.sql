/*
title: At-risk customers
why: They asked support for help in the last 30 days and placed no order in the same 30 days.
owner: lifecycle-marketing
key: customer_id
budget: 10 GB
sync:
  - {to: mailchimp_tag, tag: at-risk, mode: mirror, consent: email_marketing, first_run: approved}
  - {to: zendesk_user, field: is_at_risk, mode: mirror, first_run: approved}
  - {to: hubspot_contact, field: is_at_risk, mode: mirror, first_run: approved}
columns:
  customer_id: The person; `customer_id` of marts.customers.
  recent_ticket_count: Tickets opened in the 30 days before the run's clock.
  last_ticket_at: When the latest of those tickets was opened, UTC.
*/
WITH
recent_tickets AS (
  SELECT
    customer_id,
    COUNT(*) AS recent_ticket_count,
    MAX(created_at) AS last_ticket_at
  FROM marts.tickets
  WHERE created_at >= TIMESTAMP_SUB(@as_of, INTERVAL 30 DAY) AND created_at <= @as_of
  GROUP BY customer_id
),

recent_orders AS (
  SELECT DISTINCT customer_id
  FROM marts.orders
  WHERE status = 'paid' AND ordered_at >= TIMESTAMP_SUB(@as_of, INTERVAL 30 DAY) AND ordered_at <= @as_of
)

SELECT
  recent_tickets.customer_id,
  recent_tickets.recent_ticket_count,
  recent_tickets.last_ticket_at
FROM recent_tickets
LEFT JOIN recent_orders ON recent_tickets.customer_id = recent_orders.customer_id
WHERE recent_orders.customer_id IS NULL
