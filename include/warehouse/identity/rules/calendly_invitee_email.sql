/*
title: A Calendly invitee booked with an email address.
why: The confirmation goes there, so the invitee reads it.
inferred: false
*/
SELECT
  'calendly_invitee' AS left_kind,
  CONCAT(_account, '/', calendly_invitee_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(created_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.calendly__invitees
