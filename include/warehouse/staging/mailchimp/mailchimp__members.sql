/*
title: Members of Mailchimp audiences with their subscription status; an address change is a new member.
latest_by: updated_at
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.id') AS mailchimp_member_id,
  JSON_VALUE(_payload, '$.list_id') AS mailchimp_list_id,
  NULLIF(JSON_VALUE(_payload, '$.email_address'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.status'), '') AS status,
  NULLIF(JSON_VALUE(_payload, '$.merge_fields.FNAME'), '') AS first_name,
  NULLIF(JSON_VALUE(_payload, '$.merge_fields.LNAME'), '') AS last_name,
  NULLIF(JSON_VALUE(_payload, '$.merge_fields.PHONE'), '') AS phone,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.timestamp_opt'), '') AS TIMESTAMP) AS opted_at,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.last_changed'), '') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.status') = 'archived', FALSE) AS is_deleted
FROM raw.mailchimp__members
