/*
title: A Calendly invitee left a phone number.
why: Weak evidence, families share numbers; the guards for phones apply.
inferred: false
*/
SELECT
  'calendly_invitee' AS left_kind,
  CONCAT(_account, '/', calendly_invitee_id) AS left_value,
  'phone' AS right_kind,
  phone AS right_value,
  COALESCE(created_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.calendly__invitees
WHERE phone IS NOT NULL
