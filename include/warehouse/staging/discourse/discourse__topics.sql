/*
title: Topics of the Discourse forum.
latest_by: last_active_at
columns:
  discourse_topic_id: Discourse's number of the topic.
  title: Title of the topic.
  discourse_user_id: Who began it; `discourse_user_id` of staging.discourse__users.
  post_count: Posts in it.
  view_count: How often it was looked at.
  is_closed: Whether nobody may answer any more.
  is_pinned: Whether it stands above the others.
  created_at: When it was begun, UTC.
  last_active_at: When somebody last wrote in it, UTC (`bumped_at`).
  is_deleted: Whether a key sweep found it gone; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.id') AS discourse_topic_id,
  NULLIF(JSON_VALUE(_payload, '$.title'), '') AS title,
  JSON_VALUE(_payload, '$.posters[0].user_id') AS discourse_user_id,
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.posts_count'), r'^\d+$') AS INT64) AS post_count,
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.views'), r'^\d+$') AS INT64) AS view_count,
  COALESCE(JSON_VALUE(_payload, '$.closed') = 'true', FALSE) AS is_closed,
  COALESCE(JSON_VALUE(_payload, '$.pinned') = 'true', FALSE) AS is_pinned,
  SAFE_CAST(JSON_VALUE(_payload, '$.created_at') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.bumped_at') AS TIMESTAMP) AS last_active_at,
  _deleted_at IS NOT NULL AS is_deleted
FROM raw.discourse__topics
