/*
title: Mailchimp audiences.
columns:
  mailchimp_list_id: Mailchimp's id of the audience.
  name: Name of the audience.
  member_count: Subscribed members, as Mailchimp counts them.
  created_at: When the audience was made, UTC.
  is_deleted: Whether a key sweep found the audience gone; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.id') AS mailchimp_list_id,
  NULLIF(JSON_VALUE(_payload, '$.name'), '') AS name,
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.stats.member_count'), r'^\d+$') AS INT64) AS member_count,
  SAFE_CAST(JSON_VALUE(_payload, '$.date_created') AS TIMESTAMP) AS created_at,
  _deleted_at IS NOT NULL AS is_deleted
FROM raw.mailchimp__lists
