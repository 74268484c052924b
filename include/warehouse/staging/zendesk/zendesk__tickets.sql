/*
title: Zendesk tickets, deleted ones marked.
latest_by: updated_at
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
