/*
title: A call came from a phone number.
why: Weak evidence, families share numbers; the guards for phones apply.
inferred: false
*/
SELECT
  'callrail_call' AS left_kind,
  CONCAT(_account, '/', callrail_call_id) AS left_value,
  'phone' AS right_kind,
  phone AS right_value,
  COALESCE(started_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.callrail__calls
WHERE phone IS NOT NULL
