/*
title: A page was opened through a link with the address in its query string.
why: The link was mailed to that address.
inferred: false
*/
SELECT
  'email' AS left_kind,
  REGEXP_REPLACE(
    REPLACE(REGEXP_EXTRACT(url, r'[?&](?:email|utm_email)=([^&#]+)'), '%40', '@'), r'%2[bB]', '+'
  ) AS left_value,
  'anonymous_id' AS right_kind,
  anonymous_id AS right_value,
  ts AS seen_at,
  _seq,
  _key
FROM staging.snowplow__events
WHERE event = 'page_view' AND REGEXP_CONTAINS(url, r'[?&](?:email|utm_email)=[^&#]+')
