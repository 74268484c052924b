/*
title: Mandrill's deny list, addresses it refuses to send to.
columns:
  email: The address.
  reason: hard-bounce, soft-bounce, spam, unsub or custom.
  created_at: When the address came onto the list, UTC.
  last_event_at: When mail to it last failed or was refused, UTC.
  expires_at: When it comes off by itself, UTC; NULL for never.
  is_deleted: Always FALSE; an address that was let off is not reported.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  NULLIF(JSON_VALUE(_payload, '$.email'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.reason'), '') AS reason,
  -- Written without a zone, in UTC.
  SAFE_CAST(CONCAT(REPLACE(SUBSTR(JSON_VALUE(_payload, '$.created_at'), 1, 19), ' ', 'T'), 'Z') AS TIMESTAMP)
    AS created_at,
  SAFE_CAST(CONCAT(REPLACE(SUBSTR(JSON_VALUE(_payload, '$.last_event_at'), 1, 19), ' ', 'T'), 'Z') AS TIMESTAMP)
    AS last_event_at,
  SAFE_CAST(CONCAT(REPLACE(SUBSTR(JSON_VALUE(_payload, '$.expires_at'), 1, 19), ' ', 'T'), 'Z') AS TIMESTAMP)
    AS expires_at,
  FALSE AS is_deleted
FROM raw.mandrill__rejects
