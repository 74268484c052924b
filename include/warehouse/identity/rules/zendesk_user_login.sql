/*
title: A Zendesk user names the website's user id as its external id.
why: Single sign-on writes the external id.
inferred: false
*/
SELECT
  'zendesk_user_id' AS left_kind,
  CONCAT(_account, '/', zendesk_user_id) AS left_value,
  'user_id' AS right_kind,
  user_id AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.zendesk__users
WHERE user_id IS NOT NULL
