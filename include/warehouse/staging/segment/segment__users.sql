/*
title: Signed-in users with their latest traits; the id is the website's user id.
latest_by: loaded_at
columns:
  user_id: The website's own id of the signed-in user.
  email: Latest address in the user's traits.
  first_name: Latest first name in the traits, or the first word of the name.
  last_name: Latest last name in the traits, or the last word of the name.
  phone: Latest phone number in the traits.
  received_at: When Segment received the latest traits, UTC.
  loaded_at: When Segment's own load wrote the row to its table, UTC; says which version of a user is the latest.
  is_deleted: Always FALSE; Segment's table keeps every user.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.id') AS user_id,
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
FROM raw.segment__users
