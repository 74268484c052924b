/*
title: Signed-in users with their latest traits; the id is the website's user id.
why: >-
  Segment's or RudderStack's own table, and for who is not in it the latest identify call to the collector that
  carried an address
latest_by: loaded_at
columns:
  user_id: The website's own id of the signed-in user.
  source: Whose table holds them, segment or rudderstack; segment for who only the collector knows.
  email: Latest address in the user's traits.
  first_name: Latest first name in the traits, or the first word of the name.
  last_name: Latest last name in the traits, or the last word of the name.
  phone: Latest phone number in the traits.
  received_at: When the vendor received the latest traits, UTC.
  loaded_at: When the vendor's own load wrote the row to its table, UTC; says which version of a user is the latest.
    NULL for who only the collector knows.
  is_deleted: Always FALSE; the table keeps every user.
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
  FROM raw.segment__users
  UNION ALL
  SELECT
    _account,
    _key,
    _seq,
    _extracted_at,
    _payload,
    'rudderstack' AS source
  FROM raw.rudderstack__users
)

SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.id') AS user_id,
  source,
  NULLIF(JSON_VALUE(_payload, '$.email'), '') AS email,
  COALESCE(
    NULLIF(JSON_VALUE(_payload, '$.first_name'), ''), REGEXP_EXTRACT(TRIM(JSON_VALUE(_payload, '$.name')), r'^(\S+)')
  ) AS first_name,
  COALESCE(
    NULLIF(JSON_VALUE(_payload, '$.last_name'), ''), REGEXP_EXTRACT(TRIM(JSON_VALUE(_payload, '$.name')), r'\s(\S+)$')
  ) AS last_name,
  NULLIF(JSON_VALUE(_payload, '$.phone'), '') AS phone,
  SAFE_CAST(JSON_VALUE(_payload, '$.received_at') AS TIMESTAMP) AS received_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.loaded_at') AS TIMESTAMP) AS loaded_at,
  FALSE AS is_deleted
FROM tables
UNION ALL
SELECT
  _account,
  JSON_VALUE(_payload, '$.record.userId') AS _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.record.userId') AS user_id,
  'segment' AS source,
  JSON_VALUE(_payload, '$.record.traits.email') AS email,
  COALESCE(
    NULLIF(JSON_VALUE(_payload, '$.record.traits.firstName'), ''),
    NULLIF(JSON_VALUE(_payload, '$.record.traits.first_name'), ''),
    REGEXP_EXTRACT(TRIM(JSON_VALUE(_payload, '$.record.traits.name')), r'^(\S+)')
  ) AS first_name,
  COALESCE(
    NULLIF(JSON_VALUE(_payload, '$.record.traits.lastName'), ''),
    NULLIF(JSON_VALUE(_payload, '$.record.traits.last_name'), ''),
    REGEXP_EXTRACT(TRIM(JSON_VALUE(_payload, '$.record.traits.name')), r'\s(\S+)$')
  ) AS last_name,
  NULLIF(JSON_VALUE(_payload, '$.record.traits.phone'), '') AS phone,
  _extracted_at AS received_at,
  CAST(NULL AS TIMESTAMP) AS loaded_at,
  FALSE AS is_deleted
FROM raw.collector__segment_calls
WHERE
  NULLIF(JSON_VALUE(_payload, '$.record.userId'), '') IS NOT NULL
  AND NULLIF(JSON_VALUE(_payload, '$.record.traits.email'), '') IS NOT NULL
  AND IF(
    JSON_VALUE(_payload, '$.outside.type') = 'batch',
    JSON_VALUE(_payload, '$.record.type'),
    JSON_VALUE(_payload, '$.outside.type')
  ) = 'identify'
