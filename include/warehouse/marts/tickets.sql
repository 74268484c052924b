/*
title: Support tickets of every desk, one row each; desks number them alike, so a second account's says which.
columns:
  ticket_id: The ticket's id, its desk first (`zendesk/...`); `event_id` of identity.events.
  customer_id: The person; `customer_id` of marts.customers.
  created_at: When the ticket was opened, UTC.
  updated_at: When the desk last changed the ticket, UTC.
  status: new, open, pending, hold, solved or closed.
  subject: First line of what the person wrote.
  source: The desk.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
SELECT
  events.event_id AS ticket_id,
  events.customer_id,
  tickets.created_at,
  tickets.updated_at,
  tickets.status,
  tickets.subject,
  'zendesk' AS source,
  events.is_inferred AS is_inferred_identity
FROM staging.zendesk__tickets AS tickets
INNER JOIN identity.events AS events
  ON events.event_id = CONCAT(
    'zendesk', IF(tickets._account = 'main', '', CONCAT('__', tickets._account)), '/', tickets.zendesk_ticket_id
  )
WHERE NOT tickets.is_deleted
