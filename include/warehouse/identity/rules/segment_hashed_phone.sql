/*
title: A call's traits carry a phone number as its SHA-256.
why: The site hashed the number before it sent it; whoever has the number in the clear is the same person.
inferred: false
*/
SELECT
  IF(user_id IS NULL, 'anonymous_id', 'user_id') AS left_kind,
  COALESCE(user_id, anonymous_id) AS left_value,
  'phone_sha256' AS right_kind,
  phone AS right_value,
  ts AS seen_at,
  _seq,
  _key
FROM staging.segment__identifies
WHERE REGEXP_CONTAINS(phone, r'^[0-9a-fA-F]{64}$')
