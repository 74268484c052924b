/*
title: A member of the forum has an address.
why: The member signed up with it and confirmed it; who only wrote by mail has written from it.
inferred: false
*/
SELECT
  'discourse_user_id' AS left_kind,
  CONCAT(_account, '/', discourse_user_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(created_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.discourse__users
WHERE email IS NOT NULL
