/*
title: A page was opened through a link with the hashed address in its query string.
why: The link was mailed to the address with that SHA-256.
inferred: false
*/
SELECT
  'email_sha256' AS left_kind,
  REGEXP_EXTRACT(url, r'[?&]eh=([0-9a-fA-F]{64})(?:[&#]|$)') AS left_value,
  'anonymous_id' AS right_kind,
  anonymous_id AS right_value,
  ts AS seen_at,
  _seq,
  _key
FROM staging.snowplow__events
WHERE event = 'page_view' AND REGEXP_CONTAINS(url, r'[?&]eh=[0-9a-fA-F]{64}(?:[&#]|$)')
