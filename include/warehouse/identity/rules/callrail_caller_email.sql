/*
title: A caller had come to the website through a link with the address in its query string.
why: The link was mailed to that address, and the visit that it began led to the call.
inferred: false
*/
SELECT
  'callrail_call' AS left_kind,
  CONCAT(_account, '/', callrail_call_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(started_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.callrail__calls
WHERE email IS NOT NULL
