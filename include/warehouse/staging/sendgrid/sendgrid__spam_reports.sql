/*
title: SendGrid spam reports; owners of these addresses called a mail spam.
latest_by: created_at
columns:
  email: The address.
  created_at: When the report came, UTC.
  is_deleted: Always FALSE; an address that was let off is not reported.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  NULLIF(JSON_VALUE(_payload, '$.email'), '') AS email,
  -- Seconds too many for a time would fail the whole statement.
  TIMESTAMP_SECONDS(SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.created'), r'^\d{1,11}$') AS INT64)) AS created_at,
  FALSE AS is_deleted
FROM raw.sendgrid__spam_reports
