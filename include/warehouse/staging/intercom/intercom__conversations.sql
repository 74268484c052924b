/*
title: Intercom conversations; one that is opened again keeps its id.
latest_by: updated_at
columns:
  intercom_conversation_id: Intercom's id of the conversation.
  intercom_contact_id: The first contact who takes part; `intercom_contact_id` of staging.intercom__contacts.
  subject: Title of the conversation, or the subject of the mail it began with.
  channel: conversation (the messenger), email, facebook, whatsapp and others.
  status: open, closed or snoozed.
  rating: What the contact gave, 1 to 5.
  reopen_count: How often the conversation was opened again.
  created_at: When the conversation began, UTC.
  updated_at: When Intercom last changed the conversation, UTC.
  is_deleted: Whether a key sweep found it gone; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.id') AS intercom_conversation_id,
  COALESCE(
    JSON_VALUE(_payload, '$.contacts.contacts[0].id'),
    IF(
      JSON_VALUE(_payload, '$.source.author.type') IN ('user', 'lead', 'contact'),
      JSON_VALUE(_payload, '$.source.author.id'),
      NULL
    )
  ) AS intercom_contact_id,
  COALESCE(
    NULLIF(JSON_VALUE(_payload, '$.title'), ''), NULLIF(JSON_VALUE(_payload, '$.source.subject'), '')
  ) AS subject,
  NULLIF(JSON_VALUE(_payload, '$.source.type'), '') AS channel,
  NULLIF(JSON_VALUE(_payload, '$.state'), '') AS status,
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.conversation_rating.rating'), r'^\d$') AS INT64) AS rating,
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.statistics.count_reopens'), r'^\d+$') AS INT64) AS reopen_count,
  -- Seconds too many for a time would fail the whole statement.
  TIMESTAMP_SECONDS(
    SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.created_at'), r'^\d{1,11}$') AS INT64)
  ) AS created_at,
  TIMESTAMP_SECONDS(
    SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.updated_at'), r'^\d{1,11}$') AS INT64)
  ) AS updated_at,
  _deleted_at IS NOT NULL AS is_deleted
FROM raw.intercom__conversations
