/*
title: Page views, one row per message id.
latest_by: loaded_at
columns:
  event_id: Segment's message id.
  anonymous_id: Id Segment keeps in the visitor's browser; one per device and browser.
  user_id: The website's own id of the signed-in user.
  name: Name the website gave the page.
  url: Full address of the page, with its parameters.
  path: Path of the address.
  referrer: Address of the page the visitor came from.
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
  NULLIF(JSON_VALUE(_payload, '$.name'), '') AS name,
  NULLIF(JSON_VALUE(_payload, '$.url'), '') AS url,
  NULLIF(JSON_VALUE(_payload, '$.path'), '') AS path,
  NULLIF(JSON_VALUE(_payload, '$.referrer'), '') AS referrer,
  SAFE_CAST(JSON_VALUE(_payload, '$.timestamp') AS TIMESTAMP) AS ts,
  SAFE_CAST(JSON_VALUE(_payload, '$.received_at') AS TIMESTAMP) AS received_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.loaded_at') AS TIMESTAMP) AS loaded_at,
  FALSE AS is_deleted
FROM raw.segment__pages
