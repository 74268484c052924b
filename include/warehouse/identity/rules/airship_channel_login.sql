/*
title: A channel belongs to the named user who is signed in there.
why: The app tells Airship the website's user id at sign-in; a family's tablet moves from one to the next.
inferred: false
*/
SELECT
  'channel_id' AS left_kind,
  CONCAT(_account, '/', airship_channel_id) AS left_value,
  'user_id' AS right_kind,
  user_id AS right_value,
  COALESCE(registered_at, created_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.airship__channels
WHERE user_id IS NOT NULL
