/*
title: Calls that CallRail tracked; what staff change later is found for a month.
columns:
  callrail_call_id: CallRail's id of the call.
  phone: Number of the customer; NULL where it was withheld.
  full_name: Name the telephone network gives for the line, often a place or a company.
  email: Address in the link through which the caller had come to the website.
  anonymous_id: The website's visitor id on the page the caller was on (`ajs_aid` in its address).
  direction: inbound or outbound.
  status: answered, voicemail or missed.
  duration_seconds: How long the call took.
  source: Where the caller came from, as CallRail names it.
  medium: Kind of marketing, such as cpc.
  campaign: Campaign of the advertisement.
  gclid: Google's id of the click on an advertisement.
  landing_page: First page of the caller's visit, without parameters.
  lead_status: good_lead, not_a_lead or whatever the account calls it; staff set it later.
  started_at: When the call began, UTC.
  is_deleted: Whether a key sweep found it gone, as calls are that staff mark as spam; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.id') AS callrail_call_id,
  -- Networks also spell RESTRICTED, BLOCKED, UNKNOWN, ANONYMOUS and UNAVAILABLE on the keypad.
  IF(
    REGEXP_CONTAINS(JSON_VALUE(_payload, '$.customer_phone_number'), r'\d{4}')
    AND NOT REGEXP_CONTAINS(
      JSON_VALUE(_payload, '$.customer_phone_number'), r'^\+?(7378742833|2562533|8656696|266696687|86282452253)$'
    ),
    JSON_VALUE(_payload, '$.customer_phone_number'),
    NULL
  ) AS phone,
  NULLIF(JSON_VALUE(_payload, '$.customer_name'), '') AS full_name,
  REGEXP_REPLACE(
    REPLACE(
      COALESCE(
        REGEXP_EXTRACT(JSON_VALUE(_payload, '$.last_requested_url'), r'[?&](?:email|utm_email)=([^&#]+)'),
        REGEXP_EXTRACT(JSON_VALUE(_payload, '$.landing_page_url'), r'[?&](?:email|utm_email)=([^&#]+)')
      ),
      '%40',
      '@'
    ),
    r'%2[bB]',
    '+'
  ) AS email,
  COALESCE(
    REGEXP_EXTRACT(JSON_VALUE(_payload, '$.last_requested_url'), r'[?&]ajs_aid=([^&#]+)'),
    REGEXP_EXTRACT(JSON_VALUE(_payload, '$.landing_page_url'), r'[?&]ajs_aid=([^&#]+)')
  ) AS anonymous_id,
  NULLIF(JSON_VALUE(_payload, '$.direction'), '') AS direction,
  CASE
    WHEN JSON_VALUE(_payload, '$.voicemail') = 'true' THEN 'voicemail'
    WHEN JSON_VALUE(_payload, '$.answered') = 'true' THEN 'answered'
    WHEN JSON_VALUE(_payload, '$.answered') = 'false' THEN 'missed'
  END AS status,
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.duration'), r'^\d+$') AS INT64) AS duration_seconds,
  NULLIF(JSON_VALUE(_payload, '$.source'), '') AS source,
  NULLIF(JSON_VALUE(_payload, '$.medium'), '') AS medium,
  NULLIF(JSON_VALUE(_payload, '$.campaign'), '') AS campaign,
  NULLIF(JSON_VALUE(_payload, '$.gclid'), '') AS gclid,
  REGEXP_EXTRACT(JSON_VALUE(_payload, '$.landing_page_url'), r'^[^?#]+') AS landing_page,
  NULLIF(JSON_VALUE(_payload, '$.lead_status'), '') AS lead_status,
  SAFE_CAST(JSON_VALUE(_payload, '$.start_time') AS TIMESTAMP) AS started_at,
  _deleted_at IS NOT NULL AS is_deleted
FROM raw.callrail__calls
