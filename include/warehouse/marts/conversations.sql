/*
title: Conversations in the messenger and by its mail, one row each; a second account's id says which account.
columns:
  conversation_id: The conversation's id, its source first (`intercom/...`); `event_id` of identity.events.
  customer_id: The person; `customer_id` of marts.customers.
  created_at: When the conversation began, UTC.
  updated_at: When the source last changed the conversation, UTC.
  status: open, closed or snoozed.
  channel: conversation (the messenger), email, facebook, whatsapp and others.
  subject: Title of the conversation, or the subject of the mail it began with.
  rating: What the person gave, 1 to 5.
  reopen_count: How often the conversation was opened again.
  source: The system it was held in.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
SELECT
  events.event_id AS conversation_id,
  events.customer_id,
  talks.created_at,
  talks.updated_at,
  talks.status,
  talks.channel,
  talks.subject,
  talks.rating,
  talks.reopen_count,
  'intercom' AS source,
  events.is_inferred AS is_inferred_identity
FROM staging.intercom__conversations AS talks
INNER JOIN identity.events AS events
  ON events.event_id = CONCAT(
    'intercom', IF(talks._account = 'main', '', CONCAT('__', talks._account)), '/', talks.intercom_conversation_id
  )
WHERE NOT talks.is_deleted
