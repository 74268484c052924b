/*
title: Messages sent through Mandrill, one per recipient, with what became of them.
columns:
  mandrill_message_id: Mandrill's id of the message; NULL for days so busy that only an export shows them.
  email: Who it went to.
  sender: Who it came from.
  subject: Subject of the message.
  template: Name of the template; NULL in exports.
  first_tag: The first of the message's tags.
  status: sent, bounced, soft-bounced, rejected, spam, unsub or deferred.
  open_count: How often it was opened.
  click_count: How often its links were clicked.
  user_id: The website's user id, where the program that sent it wrote it into the metadata.
  sent_at: When it was sent, UTC.
  is_deleted: Always FALSE; messages only leave the search after a while.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  NULLIF(JSON_VALUE(_payload, '$._id'), '') AS mandrill_message_id,
  NULLIF(JSON_VALUE(_payload, '$.email'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.sender'), '') AS sender,
  NULLIF(JSON_VALUE(_payload, '$.subject'), '') AS subject,
  NULLIF(JSON_VALUE(_payload, '$.template'), '') AS template,
  NULLIF(JSON_VALUE(_payload, '$.tags[0]'), '') AS first_tag,
  NULLIF(JSON_VALUE(_payload, '$.state'), '') AS status,
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.opens'), r'^\d+$') AS INT64) AS open_count,
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.clicks'), r'^\d+$') AS INT64) AS click_count,
  NULLIF(JSON_VALUE(_payload, '$.metadata.user_id'), '') AS user_id,
  -- Seconds too many for a time would fail the whole statement.
  TIMESTAMP_SECONDS(SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.ts'), r'^\d{1,11}$') AS INT64)) AS sent_at,
  FALSE AS is_deleted
FROM raw.mandrill__messages
