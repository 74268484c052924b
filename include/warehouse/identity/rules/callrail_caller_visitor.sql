/*
title: A caller's page carries the visitor's anonymous id.
why: CallRail shows the number of its pool to one visitor at a time, so the call was made by who saw that page.
inferred: false
*/
SELECT
  'callrail_call' AS left_kind,
  CONCAT(_account, '/', callrail_call_id) AS left_value,
  'anonymous_id' AS right_kind,
  anonymous_id AS right_value,
  COALESCE(started_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.callrail__calls
WHERE anonymous_id IS NOT NULL
