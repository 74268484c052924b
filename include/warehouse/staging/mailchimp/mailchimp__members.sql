/*
title: Members of Mailchimp audiences with their subscription status; an address change is a new member.
latest_by: updated_at
columns:
  mailchimp_member_id: Mailchimp's id of the member, the MD5 of the lower-case address; unique within its audience.
  mailchimp_list_id: Audience the member belongs to.
  email: Address of the member.
  status: subscribed, unsubscribed, cleaned, pending, transactional or archived.
  first_name: Merge field FNAME.
  last_name: Merge field LNAME.
  phone: Merge field PHONE.
  opted_at: When the member confirmed the subscription, UTC (`timestamp_opt`).
  updated_at: When Mailchimp last changed the member, UTC (`last_changed`); our own tags change it too.
  is_deleted: Whether the member was archived, or a key sweep found it gone; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.id') AS mailchimp_member_id,
  JSON_VALUE(_payload, '$.list_id') AS mailchimp_list_id,
  NULLIF(JSON_VALUE(_payload, '$.email_address'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.status'), '') AS status,
  NULLIF(JSON_VALUE(_payload, '$.merge_fields.FNAME'), '') AS first_name,
  NULLIF(JSON_VALUE(_payload, '$.merge_fields.LNAME'), '') AS last_name,
  NULLIF(JSON_VALUE(_payload, '$.merge_fields.PHONE'), '') AS phone,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.timestamp_opt'), '') AS TIMESTAMP) AS opted_at,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.last_changed'), '') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.status') = 'archived', FALSE) OR _deleted_at IS NOT NULL AS is_deleted
FROM raw.mailchimp__members
