/*
title: Actions tracked on the website, one row per message id.
why: >-
  The warehouse tables of Segment and of RudderStack, and calls that came to the collector; a message that came both
  ways counts once, and what a warehouse table says of it wins
latest_by: loaded_at
columns:
  event_id: The message id, which the sending library made.
  source: Whose table holds it, segment or rudderstack; segment for a call that only the collector has.
  anonymous_id: Id the sending library keeps in the visitor's browser; one per device and browser.
  user_id: The website's own id of the signed-in user.
  event: Name of the action in snake_case, as the vendor names its table.
  event_text: Name of the action as the website sent it.
  url: Page on which the action happened.
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
  FROM raw.segment__tracks
  UNION ALL
  SELECT
    _account,
    _key,
    _seq,
    _extracted_at,
    _payload,
    'rudderstack' AS source
  FROM raw.rudderstack__tracks
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
    ) = 'track'
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
  NULLIF(JSON_VALUE(_payload, '$.event'), '') AS event,
  NULLIF(JSON_VALUE(_payload, '$.event_text'), '') AS event_text,
  NULLIF(JSON_VALUE(_payload, '$.context_page_url'), '') AS url,
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
  -- Segment names its tables so: "Order Completed" and "orderCompleted" are order_completed.
  NULLIF(
    TRIM(
      REGEXP_REPLACE(
        LOWER(REGEXP_REPLACE(JSON_VALUE(_payload, '$.record.event'), r'([a-z0-9])([A-Z])', r'\1_\2')),
        r'[^a-z0-9]+', '_'
      ), '_'
    ), ''
  ) AS event,
  NULLIF(JSON_VALUE(_payload, '$.record.event'), '') AS event_text,
  NULLIF(JSON_VALUE(_payload, '$.record.context.page.url'), '') AS url,
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
