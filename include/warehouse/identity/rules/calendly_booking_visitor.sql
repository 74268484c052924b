/*
title: A Calendly booking carries the visitor's anonymous id in utm_term.
why: The website puts the visitor's anonymous id into its booking links, so the booking was made on that device.
inferred: false
*/
SELECT
  'calendly_invitee' AS left_kind,
  CONCAT(_account, '/', calendly_invitee_id) AS left_value,
  'anonymous_id' AS right_kind,
  utm_term AS right_value,
  COALESCE(created_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.calendly__invitees
WHERE utm_term IS NOT NULL
