/*
title: Actions tracked on the website, one row per message id.
latest_by: loaded_at
columns:
  event_id: Segment's message id.
  anonymous_id: Id Segment keeps in the visitor's browser; one per device and browser.
  user_id: The website's own id of the signed-in user.
  event: Name of the action in snake_case, as Segment names its table.
  event_text: Name of the action as the website sent it.
  url: Page on which the action happened.
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
  NULLIF(JSON_VALUE(_payload, '$.event'), '') AS event,
  NULLIF(JSON_VALUE(_payload, '$.event_text'), '') AS event_text,
  NULLIF(JSON_VALUE(_payload, '$.context_page_url'), '') AS url,
  SAFE_CAST(JSON_VALUE(_payload, '$.timestamp') AS TIMESTAMP) AS ts,
  SAFE_CAST(JSON_VALUE(_payload, '$.received_at') AS TIMESTAMP) AS received_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.loaded_at') AS TIMESTAMP) AS loaded_at,
  FALSE AS is_deleted
FROM raw.segment__tracks
