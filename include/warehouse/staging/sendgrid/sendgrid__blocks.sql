/*
title: SendGrid blocks, mail that was refused for a passing reason; the address may be written to again.
latest_by: created_at
columns:
  email: The address.
  smtp_status: Enhanced status code of the refusal, such as 5.1.1.
  created_at: When the block was noted, UTC.
  is_deleted: Always FALSE; an address that was let off is not reported.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  NULLIF(JSON_VALUE(_payload, '$.email'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.status'), '') AS smtp_status,
  -- Seconds too many for a time would fail the whole statement.
  TIMESTAMP_SECONDS(SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.created'), r'^\d{1,11}$') AS INT64)) AS created_at,
  FALSE AS is_deleted
FROM raw.sendgrid__blocks
