/*
title: Members of the Discourse forum, latest version of each.
columns:
  discourse_user_id: Discourse's number of the member.
  username: Name the member writes under.
  full_name: Name of the member; NULL where none was given.
  email: Address of the member.
  is_staff: Whether the member is an administrator or a moderator.
  is_staged: Whether the member only wrote by mail and never signed in.
  post_count: Posts so far.
  created_at: When the member came, UTC.
  last_seen_at: When the member was last in the forum, UTC.
  is_deleted: Whether a key sweep found the member gone; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.id') AS discourse_user_id,
  NULLIF(JSON_VALUE(_payload, '$.username'), '') AS username,
  NULLIF(JSON_VALUE(_payload, '$.name'), '') AS full_name,
  NULLIF(JSON_VALUE(_payload, '$.email'), '') AS email,
  COALESCE('true' IN (JSON_VALUE(_payload, '$.admin'), JSON_VALUE(_payload, '$.moderator')), FALSE) AS is_staff,
  COALESCE(JSON_VALUE(_payload, '$.staged') = 'true', FALSE) AS is_staged,
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.post_count'), r'^\d+$') AS INT64) AS post_count,
  SAFE_CAST(JSON_VALUE(_payload, '$.created_at') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.last_seen_at') AS TIMESTAMP) AS last_seen_at,
  _deleted_at IS NOT NULL AS is_deleted
FROM raw.discourse__users
