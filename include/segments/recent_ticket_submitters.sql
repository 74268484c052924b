/*
title: Recent ticket submitters
why: They opened a support ticket in the last 30 days.
owner: lifecycle-marketing
key: customer_id
budget: 10 GB
columns:
  customer_id: The person; `customer_id` of marts.customers.
  recent_ticket_count: Tickets opened in the 30 days before the run's clock.
  open_ticket_count: Those of them that are neither solved nor closed.
  last_ticket_at: When the latest of those tickets was opened, UTC.
# To send it, for instance, so that nobody who waits for help is mailed an offer:
# sync:
#   - {to: hubspot_contact, field: has_recent_ticket, mode: mirror}
*/
SELECT
  customer_id,
  COUNT(*) AS recent_ticket_count,
  COUNTIF(COALESCE(status NOT IN ('solved', 'closed'), TRUE)) AS open_ticket_count,
  MAX(created_at) AS last_ticket_at
FROM marts.tickets
WHERE created_at >= TIMESTAMP_SUB(@as_of, INTERVAL 30 DAY) AND created_at <= @as_of
GROUP BY customer_id
