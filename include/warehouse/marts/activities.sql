/*
title: Everything people did, one stream in the activity schema; anonymous history belongs to the person once known.
why: activityschema.com, version 2.
columns:
  activity_id: The event's id, its source first (`segment/...`); `event_id` of identity.events.
  ts: When it happened, UTC.
  customer_id: The person; `customer_id` of marts.customers.
  anonymous_id: The device's id, where the event carries one.
  activity: What happened, in the past tense; the name of a tracked event stays as the website gave it.
  source: The system that saw it.
  feature_json: What else is known of it, a JSON object whose keys depend on the activity.
  revenue_impact: Money the activity brought, in units of `currency`; NULL unless it is a paid order.
  currency: ISO 4217 code of `revenue_impact`; also set where an order brought nothing.
  link: Address of the page, or of the thing at the vendor.
  activity_occurrence: The how-maniest activity of its kind this is for the person, from 1.
  activity_repeated_at: When the person next did the same, UTC; NULL for the latest.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
WITH
happened AS (
  SELECT
    CONCAT('segment/', event_id) AS activity_id,
    ts,
    anonymous_id,
    'viewed_page' AS activity,
    'segment' AS source,
    TO_JSON_STRING(STRUCT(name AS name, path AS path)) AS feature_json,
    CAST(NULL AS NUMERIC) AS revenue_impact,
    CAST(NULL AS STRING) AS currency,
    url AS link
  FROM staging.segment__pages
  UNION ALL
  SELECT
    CONCAT('segment/', event_id) AS activity_id,
    ts,
    anonymous_id,
    event AS activity,
    'segment' AS source,
    TO_JSON_STRING(STRUCT(event_text AS name)) AS feature_json,
    CAST(NULL AS NUMERIC) AS revenue_impact,
    CAST(NULL AS STRING) AS currency,
    url AS link
  FROM staging.segment__tracks
  UNION ALL
  SELECT
    CONCAT('segment/', event_id) AS activity_id,
    ts,
    anonymous_id,
    'identified_themselves' AS activity,
    'segment' AS source,
    '{}' AS feature_json,
    CAST(NULL AS NUMERIC) AS revenue_impact,
    CAST(NULL AS STRING) AS currency,
    url AS link
  FROM staging.segment__identifies
  UNION ALL
  SELECT
    CONCAT('calendly/', calendly_invitee_id) AS activity_id,
    created_at AS ts,
    utm_term AS anonymous_id,
    'booked_meeting' AS activity,
    'calendly' AS source,
    TO_JSON_STRING(STRUCT(status AS status)) AS feature_json,
    CAST(NULL AS NUMERIC) AS revenue_impact,
    CAST(NULL AS STRING) AS currency,
    calendly_event_uri AS link
  FROM staging.calendly__invitees
  UNION ALL
  SELECT
    CONCAT('zendesk', IF(_account = 'main', '', CONCAT('__', _account)), '/', zendesk_ticket_id) AS activity_id,
    created_at AS ts,
    CAST(NULL AS STRING) AS anonymous_id,
    'opened_ticket' AS activity,
    'zendesk' AS source,
    TO_JSON_STRING(STRUCT(status AS status, priority AS priority)) AS feature_json,
    CAST(NULL AS NUMERIC) AS revenue_impact,
    CAST(NULL AS STRING) AS currency,
    CAST(NULL AS STRING) AS link
  FROM staging.zendesk__tickets
  WHERE NOT is_deleted
  UNION ALL
  SELECT
    order_id AS activity_id,
    ordered_at AS ts,
    CAST(NULL AS STRING) AS anonymous_id,
    CASE status
      WHEN 'paid' THEN 'placed_order'
      WHEN 'refunded' THEN 'refunded_order'
      WHEN 'failed' THEN 'failed_order'
      ELSE 'awaited_payment'
    END AS activity,
    'stripe' AS source,
    TO_JSON_STRING(STRUCT(status AS status)) AS feature_json,
    CASE WHEN status = 'paid' THEN amount END AS revenue_impact,
    currency,
    CAST(NULL AS STRING) AS link
  FROM marts.orders
)

SELECT
  happened.activity_id,
  happened.ts,
  events.customer_id,
  happened.anonymous_id,
  happened.activity,
  happened.source,
  happened.feature_json,
  happened.revenue_impact,
  happened.currency,
  happened.link,
  ROW_NUMBER() OVER (
    PARTITION BY events.customer_id, happened.activity ORDER BY happened.ts, happened.activity_id
  ) AS activity_occurrence,
  LEAD(happened.ts) OVER (
    PARTITION BY events.customer_id, happened.activity ORDER BY happened.ts, happened.activity_id
  ) AS activity_repeated_at,
  events.is_inferred AS is_inferred_identity
FROM happened
INNER JOIN identity.events AS events ON happened.activity_id = events.event_id
