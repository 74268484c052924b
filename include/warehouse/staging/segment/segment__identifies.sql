/*
title: Moments a visitor said who they are, one row per message id.
latest_by: loaded_at
columns:
  event_id: Segment's message id.
  anonymous_id: Id Segment keeps in the visitor's browser; one per device and browser.
  user_id: The website's own id of the signed-in user.
  email: Address in the call's traits.
  first_name: First name in the call's traits, or the first word of the name.
  last_name: Last name in the call's traits, or the last word of the name.
  phone: Phone number in the call's traits.
  url: Page on which the call was made.
  ts: When it happened, UTC, with the device's clock error taken out by Segment (`timestamp`).
  received_at: When Segment received it, UTC.
  loaded_at: When Segment's own load wrote the row to its table, UTC; says which version of a message is the latest.
  is_deleted: Always FALSE; messages are not deleted.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.id') AS event_id,
  NULLIF(JSON_VALUE(_payload, '$.anonymous_id'), '') AS anonymous_id,
  NULLIF(JSON_VALUE(_payload, '$.user_id'), '') AS user_id,
  NULLIF(JSON_VALUE(_payload, '$.email'), '') AS email,
  COALESCE(
    NULLIF(JSON_VALUE(_payload, '$.first_name'), ''), REGEXP_EXTRACT(TRIM(JSON_VALUE(_payload, '$.name')), r'^(\S+)')
  ) AS first_name,
  COALESCE(
    NULLIF(JSON_VALUE(_payload, '$.last_name'), ''), REGEXP_EXTRACT(TRIM(JSON_VALUE(_payload, '$.name')), r'\s(\S+)$')
  ) AS last_name,
  NULLIF(JSON_VALUE(_payload, '$.phone'), '') AS phone,
  NULLIF(JSON_VALUE(_payload, '$.context_page_url'), '') AS url,
  SAFE_CAST(JSON_VALUE(_payload, '$.timestamp') AS TIMESTAMP) AS ts,
  SAFE_CAST(JSON_VALUE(_payload, '$.received_at') AS TIMESTAMP) AS received_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.loaded_at') AS TIMESTAMP) AS loaded_at,
  FALSE AS is_deleted
FROM raw.segment__identifies
