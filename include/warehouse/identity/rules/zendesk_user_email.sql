/*
title: A Zendesk user writes from an email address.
why: The ticket came from there and the answer goes there.
inferred: false
*/
SELECT
  'zendesk_user_id' AS left_kind,
  CONCAT(_account, '/', zendesk_user_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.zendesk__users
