/*
title: Zendesk tickets, deleted ones marked.
latest_by: updated_at
columns:
  zendesk_ticket_id: Zendesk's number of the ticket; every account counts from 1.
  zendesk_user_id: The user who asks for help (`requester_id`).
  subject: First line of what the requester wrote.
  status: new, open, pending, hold, solved, closed or deleted.
  priority: low, normal, high or urgent; NULL where nobody set one.
  created_at: When the ticket was opened, UTC.
  updated_at: When Zendesk last changed the ticket, UTC.
  is_deleted: Whether the ticket was deleted in Zendesk; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.id') AS zendesk_ticket_id,
  JSON_VALUE(_payload, '$.requester_id') AS zendesk_user_id,
  NULLIF(JSON_VALUE(_payload, '$.subject'), '') AS subject,
  NULLIF(JSON_VALUE(_payload, '$.status'), '') AS status,
  NULLIF(JSON_VALUE(_payload, '$.priority'), '') AS priority,
  SAFE_CAST(JSON_VALUE(_payload, '$.created_at') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.updated_at') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.status') = 'deleted', FALSE) AS is_deleted
FROM raw.zendesk__tickets
