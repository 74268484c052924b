/*
title: Page views, one row per message id.
why: >-
  The warehouse tables of Segment and of RudderStack, and calls that came to the collector; a message that came both
  ways counts once, and what a warehouse table says of it wins
latest_by: loaded_at
columns:
  event_id: The message id, which the sending library made.
  source: Whose table holds it, segment or rudderstack; segment for a call that only the collector has.
  anonymous_id: Id the sending library keeps in the visitor's browser; one per device and browser.
  user_id: The website's own id of the signed-in user.
  name: Name the website gave the page.
  url: Full address of the page, with its parameters.
  path: Path of the address.
  referrer: Address of the page the visitor came from.
  ts: When it happened, UTC, with the device's clock error taken out (`timestamp`).
  received_at: When the vendor received it, UTC.
  loaded_at: When the vendor's own load wrote the row to its table, UTC; says which version of a message is the latest.
    NULL for a call that only the collector has.
  is_deleted: Always FALSE; messages are not deleted.
*/
WITH
-- RudderStack writes the same columns, and its libraries give messages the same ids.
tables AS (
  SELECT
    _account,
    _key,
    _seq,
    _extracted_at,
    _payload,
    'segment' AS source
  FROM raw.segment__pages
  UNION ALL
  SELECT
    _account,
    _key,
    _seq,
    _extracted_at,
    _payload,
    'rudderstack' AS source
  FROM raw.rudderstack__pages
),

-- The collector keeps what the address and the batch said beside each call.
calls AS (
  SELECT
    _account,
    _key,
    _seq,
    _extracted_at,
    _payload,
    SAFE_CAST(JSON_VALUE(_payload, '$.record.timestamp') AS TIMESTAMP) AS original_at,
    SAFE_CAST(
      COALESCE(JSON_VALUE(_payload, '$.record.sentAt'), JSON_VALUE(_payload, '$.outside.sent_at')) AS TIMESTAMP
    ) AS sent_at
  FROM raw.collector__segment_calls
  WHERE
    IF(
      JSON_VALUE(_payload, '$.outside.type') = 'batch',
      JSON_VALUE(_payload, '$.record.type'),
      JSON_VALUE(_payload, '$.outside.type')
    ) = 'page'
)

SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.id') AS event_id,
  source,
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
FROM tables
UNION ALL
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  COALESCE(NULLIF(JSON_VALUE(_payload, '$.record.messageId'), ''), _key) AS event_id,
  'segment' AS source,
  NULLIF(JSON_VALUE(_payload, '$.record.anonymousId'), '') AS anonymous_id,
  NULLIF(JSON_VALUE(_payload, '$.record.userId'), '') AS user_id,
  COALESCE(
    NULLIF(JSON_VALUE(_payload, '$.record.name'), ''), NULLIF(JSON_VALUE(_payload, '$.record.properties.name'), '')
  ) AS name,
  COALESCE(
    NULLIF(JSON_VALUE(_payload, '$.record.properties.url'), ''),
    NULLIF(JSON_VALUE(_payload, '$.record.context.page.url'), '')
  ) AS url,
  COALESCE(
    NULLIF(JSON_VALUE(_payload, '$.record.properties.path'), ''),
    NULLIF(JSON_VALUE(_payload, '$.record.context.page.path'), '')
  ) AS path,
  COALESCE(
    NULLIF(JSON_VALUE(_payload, '$.record.properties.referrer'), ''),
    NULLIF(JSON_VALUE(_payload, '$.record.context.page.referrer'), '')
  ) AS referrer,
  -- What the sender's clock is wrong by is wrong in both times it wrote.
  CASE
    WHEN
      original_at BETWEEN TIMESTAMP '1970-01-01 00:00:00+00' AND TIMESTAMP '2200-01-01 00:00:00+00'
      AND sent_at BETWEEN TIMESTAMP '1970-01-01 00:00:00+00' AND TIMESTAMP '2200-01-01 00:00:00+00'
      THEN TIMESTAMP_SUB(_extracted_at, INTERVAL TIMESTAMP_DIFF(sent_at, original_at, MICROSECOND) MICROSECOND)
    ELSE COALESCE(original_at, _extracted_at)
  END AS ts,
  _extracted_at AS received_at,
  CAST(NULL AS TIMESTAMP) AS loaded_at,
  FALSE AS is_deleted
FROM calls
