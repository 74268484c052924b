/*
title: Public posts of the Discourse forum.
latest_by: updated_at
columns:
  discourse_post_id: Discourse's number of the post.
  discourse_topic_id: The topic; `discourse_topic_id` of staging.discourse__topics.
  discourse_user_id: Who wrote it; `discourse_user_id` of staging.discourse__users.
  topic_title: Title of the topic.
  post_number: Place in the topic; 1 is what it began with.
  created_at: When it was written, UTC.
  updated_at: When it was last changed, UTC; changes after a day are not seen.
  is_deleted: Whether it was taken away, as the post says or a key sweep found; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.id') AS discourse_post_id,
  JSON_VALUE(_payload, '$.topic_id') AS discourse_topic_id,
  JSON_VALUE(_payload, '$.user_id') AS discourse_user_id,
  NULLIF(JSON_VALUE(_payload, '$.topic_title'), '') AS topic_title,
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.post_number'), r'^\d+$') AS INT64) AS post_number,
  SAFE_CAST(JSON_VALUE(_payload, '$.created_at') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.updated_at') AS TIMESTAMP) AS updated_at,
  JSON_VALUE(_payload, '$.deleted_at') IS NOT NULL OR _deleted_at IS NOT NULL AS is_deleted
FROM raw.discourse__posts
