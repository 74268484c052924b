/*
title: Support tickets of every desk, one row each; desks number them alike, so a second account's says which.
why: Of Jira's issues those that customers of the service desk reported; what colleagues report is work, no ticket.
columns:
  ticket_id: The ticket's id, its desk first (`zendesk/...`, `jira/...`); `event_id` of identity.events.
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
UNION ALL
SELECT
  events.event_id AS ticket_id,
  events.customer_id,
  issues.created_at,
  issues.updated_at,
  CASE issues.status_category WHEN 'done' THEN 'solved' WHEN 'indeterminate' THEN 'open' ELSE 'new' END AS status,
  issues.subject,
  'jira' AS source,
  events.is_inferred AS is_inferred_identity
FROM staging.jira__issues AS issues
INNER JOIN identity.events AS events
  ON events.event_id = CONCAT(
    'jira', IF(issues._account = 'main', '', CONCAT('__', issues._account)), '/', issues.jira_issue_id
  )
WHERE issues.reporter_type = 'customer' AND NOT issues.is_deleted
