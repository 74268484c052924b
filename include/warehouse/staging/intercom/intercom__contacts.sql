/*
title: Intercom contacts, users and leads, latest version of each.
latest_by: updated_at
columns:
  intercom_contact_id: Intercom's id of the contact.
  email: Address of the contact; NULL for leads who only chatted.
  full_name: Name of the contact.
  phone: Phone number of the contact.
  user_id: The website's user id (`external_id` of a user); that of a lead is Intercom's own and left out.
  role: user or lead.
  is_unsubscribed: Whether the contact wants no mail.
  has_hard_bounced: Whether the address does not exist.
  has_reported_spam: Whether the contact called a mail spam.
  created_at: When the contact was made in Intercom, UTC.
  updated_at: When Intercom last changed the contact, UTC.
  last_seen_at: When the contact was last seen on the website or in the app, UTC.
  is_deleted: Whether a key sweep found it gone, deleted or merged into another; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.id') AS intercom_contact_id,
  NULLIF(JSON_VALUE(_payload, '$.email'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.name'), '') AS full_name,
  NULLIF(JSON_VALUE(_payload, '$.phone'), '') AS phone,
  IF(JSON_VALUE(_payload, '$.role') = 'user', NULLIF(JSON_VALUE(_payload, '$.external_id'), ''), NULL) AS user_id,
  NULLIF(JSON_VALUE(_payload, '$.role'), '') AS role,
  COALESCE(JSON_VALUE(_payload, '$.unsubscribed_from_emails') = 'true', FALSE) AS is_unsubscribed,
  COALESCE(JSON_VALUE(_payload, '$.has_hard_bounced') = 'true', FALSE) AS has_hard_bounced,
  COALESCE(JSON_VALUE(_payload, '$.marked_email_as_spam') = 'true', FALSE) AS has_reported_spam,
  -- Seconds too many for a time would fail the whole statement.
  TIMESTAMP_SECONDS(
    SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.created_at'), r'^\d{1,11}$') AS INT64)
  ) AS created_at,
  TIMESTAMP_SECONDS(
    SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.updated_at'), r'^\d{1,11}$') AS INT64)
  ) AS updated_at,
  TIMESTAMP_SECONDS(
    SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.last_seen_at'), r'^\d{1,11}$') AS INT64)
  ) AS last_seen_at,
  _deleted_at IS NOT NULL AS is_deleted
FROM raw.intercom__contacts
