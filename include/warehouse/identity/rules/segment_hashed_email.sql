/*
title: A call's traits carry an address as its SHA-256.
why: The site hashed the address before it sent it; whoever has the address in the clear is the same person.
inferred: false
*/
SELECT
  IF(user_id IS NULL, 'anonymous_id', 'user_id') AS left_kind,
  COALESCE(user_id, anonymous_id) AS left_value,
  'email_sha256' AS right_kind,
  email AS right_value,
  ts AS seen_at,
  _seq,
  _key
FROM staging.segment__identifies
WHERE REGEXP_CONTAINS(email, r'^[0-9a-fA-F]{64}$')
