/*
title: Mailchimp audiences.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.id') AS mailchimp_list_id,
  NULLIF(JSON_VALUE(_payload, '$.name'), '') AS name,
  SAFE_CAST(JSON_VALUE(_payload, '$.stats.member_count') AS INT64) AS member_count,
  SAFE_CAST(JSON_VALUE(_payload, '$.date_created') AS TIMESTAMP) AS created_at,
  FALSE AS is_deleted
FROM raw.mailchimp__lists
