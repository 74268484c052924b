/*
title: Everything people did, one stream in the activity schema; anonymous history belongs to the person once known.
cluster_by: customer_id
why: >-
  activityschema.com, version 2. Money is counted once, from marts.orders: deals, invoices and their payments tell
  their amounts in `feature_json` only, because an order or a charge often stands behind them
columns:
  activity_id: The event's id, its source first (`segment/...`); `event_id` of identity.events, and what became of it.
  ts: When it happened, UTC; midnight where only the day is known. Meetings, and days that people type, may be to come.
  customer_id: The person; `customer_id` of marts.customers.
  anonymous_id: The device's id, where the event carries one.
  activity: What happened, in the past tense; the name of a tracked event stays as the website gave it.
  source: The system that saw it.
  feature_json: What else is known of it, a JSON object whose keys depend on the activity; amounts are text.
  revenue_impact: Money the activity brought, in units of `currency`; NULL unless it is a paid order.
  currency: ISO 4217 code of `revenue_impact`; also set where an order brought nothing.
  link: Address of the page, or of the thing at the vendor.
  activity_occurrence: The how-maniest activity of its kind this is for the person, from 1.
  activity_repeated_at: When the person next did the same, UTC; NULL for the latest.
  is_by_others: Whether others did it or noted it, as sales and accounting do; it does not show the person was there.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
WITH
-- What the source's own record tells; whose it is, its event says.
recorded AS (
  SELECT
    CONCAT('segment/', event_id) AS activity_id,
    ts,
    anonymous_id,
    'viewed_page' AS activity,
    source,
    TO_JSON_STRING(STRUCT(name AS name, path AS path)) AS feature_json,
    url AS link
  FROM staging.segment__pages
  UNION ALL
  SELECT
    CONCAT('segment/', event_id) AS activity_id,
    ts,
    anonymous_id,
    event AS activity,
    source,
    TO_JSON_STRING(STRUCT(event_text AS name)) AS feature_json,
    url AS link
  FROM staging.segment__tracks
  UNION ALL
  SELECT
    CONCAT('segment/', event_id) AS activity_id,
    ts,
    anonymous_id,
    'identified_themselves' AS activity,
    source,
    '{}' AS feature_json,
    url AS link
  FROM staging.segment__identifies
  UNION ALL
  SELECT
    CONCAT('snowplow/', event_id) AS activity_id,
    ts,
    anonymous_id,
    IF(event = 'page_view', 'viewed_page', event) AS activity,
    'snowplow' AS source,
    TO_JSON_STRING(STRUCT(
      COALESCE(event_text, name) AS name, path AS path, label AS label, traffic_source AS source, medium AS medium,
      campaign AS campaign, click_id AS click_id
    )) AS feature_json,
    url AS link
  FROM staging.snowplow__events
  WHERE event != 'page_ping'
  UNION ALL
  SELECT
    CONCAT('phantombuster/', phantombuster_row_id) AS activity_id,
    happened_at AS ts,
    CAST(NULL AS STRING) AS anonymous_id,
    CONCAT(kind, IF(kind = 'liked', '_post', '_on_post')) AS activity,
    'phantombuster' AS source,
    TO_JSON_STRING(STRUCT(post_url AS post_url, agent_name AS agent_name)) AS feature_json,
    COALESCE(comment_url, post_url) AS link
  FROM staging.phantombuster__rows
  UNION ALL
  SELECT
    CONCAT('calendly/', calendly_invitee_id) AS activity_id,
    created_at AS ts,
    utm_term AS anonymous_id,
    'booked_meeting' AS activity,
    'calendly' AS source,
    TO_JSON_STRING(STRUCT(status AS status)) AS feature_json,
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
    CAST(NULL AS STRING) AS link
  FROM staging.zendesk__tickets
  WHERE NOT is_deleted
  UNION ALL
  SELECT
    CONCAT('jira', IF(_account = 'main', '', CONCAT('__', _account)), '/', jira_issue_id) AS activity_id,
    created_at AS ts,
    CAST(NULL AS STRING) AS anonymous_id,
    'opened_ticket' AS activity,
    'jira' AS source,
    TO_JSON_STRING(STRUCT(status AS status, priority AS priority)) AS feature_json,
    CAST(NULL AS STRING) AS link
  FROM staging.jira__issues
  WHERE reporter_type = 'customer' AND NOT is_deleted
  UNION ALL
  SELECT
    CONCAT('shopify/checkouts/', shopify_checkout_id) AS activity_id,
    created_at AS ts,
    anonymous_id,
    IF(completed_at IS NULL, 'abandoned_checkout', 'completed_checkout') AS activity,
    'shopify' AS source,
    TO_JSON_STRING(STRUCT(
      -- Engines write the zeros at the end of a NUMERIC differently.
      REGEXP_REPLACE(CAST(amount AS STRING), r'\.0*$|(\.\d*[1-9])0+$', r'\1') AS amount,
      currency AS currency, line_count AS line_count, first_item_title AS first_item_title
    )) AS feature_json,
    recovery_url AS link
  FROM staging.shopify__abandoned_checkouts
  WHERE NOT is_deleted
  UNION ALL
  SELECT
    CONCAT(
      'discourse', IF(_account = 'main', '', CONCAT('__', _account)), '/topics/', discourse_topic_id
    ) AS activity_id,
    created_at AS ts,
    CAST(NULL AS STRING) AS anonymous_id,
    'started_topic' AS activity,
    'discourse' AS source,
    TO_JSON_STRING(STRUCT(discourse_topic_id AS discourse_topic_id)) AS feature_json,
    CAST(NULL AS STRING) AS link
  FROM staging.discourse__topics
  WHERE NOT is_deleted
  UNION ALL
  SELECT
    CONCAT('discourse', IF(_account = 'main', '', CONCAT('__', _account)), '/posts/', discourse_post_id) AS activity_id,
    created_at AS ts,
    CAST(NULL AS STRING) AS anonymous_id,
    'wrote_post' AS activity,
    'discourse' AS source,
    TO_JSON_STRING(STRUCT(discourse_topic_id AS discourse_topic_id)) AS feature_json,
    CAST(NULL AS STRING) AS link
  FROM staging.discourse__posts
  -- A topic's first post is the topic.
  WHERE post_number != 1 AND NOT is_deleted
  UNION ALL
  SELECT
    CONCAT('airship', IF(_account = 'main', '', CONCAT('__', _account)), '/', event_id) AS activity_id,
    ts,
    CAST(NULL AS STRING) AS anonymous_id,
    CASE kind
      WHEN 'send' THEN 'received_push'
      WHEN 'rich_read' THEN 'read_push'
      WHEN 'open' THEN 'opened_app'
      WHEN 'first_open' THEN 'installed_app'
      WHEN 'uninstall' THEN 'uninstalled_app'
      ELSE LOWER(REGEXP_REPLACE(name, r'[^a-zA-Z0-9]+', '_'))
    END AS activity,
    'airship' AS source,
    TO_JSON_STRING(STRUCT(name AS name, push_id AS push_id)) AS feature_json,
    CAST(NULL AS STRING) AS link
  FROM staging.collector__airship_events
  WHERE
    kind IN ('send', 'rich_read', 'open', 'first_open', 'uninstall') OR (kind = 'custom' AND name IS NOT NULL)
),

-- Amounts that are no revenue of their own.
sums AS (
  SELECT
    opportunity_id AS activity_id,
    created_at AS ts,
    customer_id,
    'opportunity_created' AS activity,
    source,
    stage AS status,
    amount,
    currency,
    is_inferred_identity
  FROM marts.opportunities
  UNION ALL
  SELECT
    CONCAT(opportunity_id, '/won') AS activity_id,
    won_at AS ts,
    customer_id,
    'opportunity_won' AS activity,
    source,
    stage AS status,
    amount,
    currency,
    is_inferred_identity
  FROM marts.opportunities
  WHERE is_won
  UNION ALL
  SELECT
    invoice_id AS activity_id,
    TIMESTAMP(issue_date) AS ts,
    customer_id,
    'invoice_issued' AS activity,
    source,
    status,
    total AS amount,
    currency,
    is_inferred_identity
  FROM marts.invoices
  UNION ALL
  SELECT
    payment_id AS activity_id,
    TIMESTAMP(payment_date) AS ts,
    customer_id,
    'invoice_paid' AS activity,
    source,
    CAST(NULL AS STRING) AS status,
    amount,
    currency,
    is_inferred_identity
  FROM marts.invoice_payments
),

-- What other marts tell of a person.
told AS (
  SELECT
    activity_id,
    ts,
    customer_id,
    activity,
    source,
    TO_JSON_STRING(STRUCT(
      status AS status,
      -- Engines write the zeros at the end of a NUMERIC differently.
      REGEXP_REPLACE(CAST(amount AS STRING), r'\.0*$|(\.\d*[1-9])0+$', r'\1') AS amount,
      currency AS currency
    )) AS feature_json,
    is_inferred_identity
  FROM sums
  UNION ALL
  SELECT
    call_id AS activity_id,
    started_at AS ts,
    customer_id,
    IF(direction = 'outbound', 'was_called', 'called') AS activity,
    source,
    TO_JSON_STRING(STRUCT(
      status AS status, duration_seconds AS duration_seconds, traffic_source AS source, medium AS medium,
      campaign AS campaign, gclid AS gclid, landing_page AS landing_page
    )) AS feature_json,
    is_inferred_identity
  FROM marts.calls
  UNION ALL
  SELECT
    conversation_id AS activity_id,
    created_at AS ts,
    customer_id,
    'started_conversation' AS activity,
    source,
    TO_JSON_STRING(STRUCT(status AS status, channel AS channel, rating AS rating)) AS feature_json,
    is_inferred_identity
  FROM marts.conversations
  UNION ALL
  SELECT
    refusal_id AS activity_id,
    refused_at AS ts,
    customer_id,
    CASE reason
      WHEN 'bounced' THEN 'bounced_email'
      WHEN 'blocked' THEN 'blocked_address'
      ELSE reason
    END AS activity,
    source,
    '{}' AS feature_json,
    is_inferred_identity
  FROM marts.email_refusals
  UNION ALL
  SELECT
    lead_id AS activity_id,
    created_at AS ts,
    customer_id,
    'lead_created' AS activity,
    source,
    TO_JSON_STRING(STRUCT(status AS status, lead_source AS lead_source)) AS feature_json,
    is_inferred_identity
  FROM marts.leads
  UNION ALL
  SELECT
    CONCAT(lead_id, '/converted') AS activity_id,
    converted_at AS ts,
    customer_id,
    'lead_converted' AS activity,
    source,
    TO_JSON_STRING(STRUCT(status AS status, lead_source AS lead_source)) AS feature_json,
    is_inferred_identity
  FROM marts.leads
  WHERE converted_at IS NOT NULL
  UNION ALL
  SELECT
    campaign_member_id AS activity_id,
    joined_at AS ts,
    customer_id,
    'campaign_joined' AS activity,
    source,
    TO_JSON_STRING(STRUCT(salesforce_campaign_id AS salesforce_campaign_id)) AS feature_json,
    is_inferred_identity
  FROM marts.campaign_members
  UNION ALL
  SELECT
    CONCAT(campaign_member_id, '/responded') AS activity_id,
    responded_at AS ts,
    customer_id,
    'campaign_responded' AS activity,
    source,
    TO_JSON_STRING(STRUCT(salesforce_campaign_id AS salesforce_campaign_id, status AS status)) AS feature_json,
    is_inferred_identity
  FROM marts.campaign_members
  WHERE responded_at IS NOT NULL
  UNION ALL
  SELECT
    sales_touch_id AS activity_id,
    happened_at AS ts,
    customer_id,
    IF(kind = 'meeting', kind, CONCAT('sales_', kind)) AS activity,
    source,
    TO_JSON_STRING(STRUCT(duration_seconds AS duration_seconds)) AS feature_json,
    is_inferred_identity
  FROM marts.sales_touches
),

happened AS (
  SELECT
    recorded.activity_id,
    recorded.ts,
    events.customer_id,
    recorded.anonymous_id,
    recorded.activity,
    recorded.source,
    recorded.feature_json,
    CAST(NULL AS NUMERIC) AS revenue_impact,
    CAST(NULL AS STRING) AS currency,
    recorded.link,
    recorded.activity = 'received_push' AS is_by_others,
    events.is_inferred AS is_inferred_identity
  FROM recorded
  INNER JOIN identity.events AS events ON recorded.activity_id = events.event_id
  UNION ALL
  SELECT
    order_id AS activity_id,
    ordered_at AS ts,
    customer_id,
    CAST(NULL AS STRING) AS anonymous_id,
    CASE status
      WHEN 'paid' THEN 'placed_order'
      WHEN 'refunded' THEN 'refunded_order'
      WHEN 'failed' THEN 'failed_order'
      WHEN 'canceled' THEN 'canceled_order'
      ELSE 'awaited_payment'
    END AS activity,
    source,
    TO_JSON_STRING(STRUCT(status AS status)) AS feature_json,
    CASE WHEN status = 'paid' THEN amount END AS revenue_impact,
    currency,
    CAST(NULL AS STRING) AS link,
    FALSE AS is_by_others,
    is_inferred_identity
  FROM marts.orders
  UNION ALL
  SELECT
    email_touch_id AS activity_id,
    touched_at AS ts,
    customer_id,
    CAST(NULL AS STRING) AS anonymous_id,
    IF(kind = 'subscribed', kind, CONCAT(kind, '_email')) AS activity,
    source,
    TO_JSON_STRING(STRUCT(
      campaign AS campaign, template AS template, open_count AS open_count, click_count AS click_count
    )) AS feature_json,
    CAST(NULL AS NUMERIC) AS revenue_impact,
    CAST(NULL AS STRING) AS currency,
    url AS link,
    kind IN ('received', 'fetched') AS is_by_others,
    is_inferred_identity
  FROM marts.email_touches
  UNION ALL
  SELECT
    activity_id,
    ts,
    customer_id,
    CAST(NULL AS STRING) AS anonymous_id,
    activity,
    source,
    feature_json,
    CAST(NULL AS NUMERIC) AS revenue_impact,
    CAST(NULL AS STRING) AS currency,
    CAST(NULL AS STRING) AS link,
    activity NOT IN (
      'called', 'started_conversation', 'reported_spam', 'unsubscribed', 'campaign_responded'
    ) AS is_by_others,
    is_inferred_identity
  FROM told
)

SELECT
  activity_id,
  ts,
  customer_id,
  anonymous_id,
  activity,
  source,
  feature_json,
  revenue_impact,
  currency,
  link,
  ROW_NUMBER() OVER (PARTITION BY customer_id, activity ORDER BY ts, activity_id) AS activity_occurrence,
  LEAD(ts) OVER (PARTITION BY customer_id, activity ORDER BY ts, activity_id) AS activity_repeated_at,
  is_by_others,
  is_inferred_identity
FROM happened
