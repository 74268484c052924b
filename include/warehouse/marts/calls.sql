/*
title: Calls that were tracked between people and the company, one row each.
columns:
  call_id: The call's id, its source first (`callrail/...`); `event_id` of identity.events.
  customer_id: The person; `customer_id` of marts.customers.
  started_at: When the call began, UTC.
  direction: inbound, the person called, or outbound, the person was called.
  status: answered, voicemail or missed.
  duration_seconds: How long the call took.
  lead_status: What staff made of the call, in their own words; set later.
  traffic_source: Where the caller came from, as the source names it.
  medium: Kind of marketing, such as cpc.
  campaign: Campaign of the advertisement.
  gclid: Google's id of the click on an advertisement.
  landing_page: First page of the caller's visit, without parameters.
  source: The system that tracked the call.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
SELECT
  events.event_id AS call_id,
  events.customer_id,
  calls.started_at,
  calls.direction,
  calls.status,
  calls.duration_seconds,
  calls.lead_status,
  calls.source AS traffic_source,
  calls.medium,
  calls.campaign,
  calls.gclid,
  calls.landing_page,
  'callrail' AS source,
  events.is_inferred AS is_inferred_identity
FROM staging.callrail__calls AS calls
INNER JOIN identity.events AS events ON events.event_id = CONCAT('callrail/', calls.callrail_call_id)
WHERE NOT calls.is_deleted
