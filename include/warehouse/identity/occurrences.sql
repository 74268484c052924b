/*
title: Every identifier that an event carries; an event's owner is found through the strongest of them.
why: >-
  One event per record, whatever became of it: what is deleted or undone later is still the same person's. Ids of
  addresses are hashed, because ids stand where addresses must not.
columns:
  event_id: The event, its source first, as in identity.events.
  ts: When the event happened, UTC.
  kind: Kind of the identifier; one of identity/kinds.py.
  value: The identifier, normalized.
*/
SELECT
  CONCAT('segment/', event_id) AS event_id,
  ts,
  'anonymous_id' AS kind,
  anonymous_id AS value
FROM staging.segment__pages
WHERE anonymous_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('segment/', event_id) AS event_id,
  ts,
  'user_id' AS kind,
  user_id AS value
FROM staging.segment__pages
WHERE user_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('segment/', event_id) AS event_id,
  ts,
  'anonymous_id' AS kind,
  anonymous_id AS value
FROM staging.segment__tracks
WHERE anonymous_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('segment/', event_id) AS event_id,
  ts,
  'user_id' AS kind,
  user_id AS value
FROM staging.segment__tracks
WHERE user_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('segment/', event_id) AS event_id,
  ts,
  'anonymous_id' AS kind,
  anonymous_id AS value
FROM staging.segment__identifies
WHERE anonymous_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('segment/', event_id) AS event_id,
  ts,
  'user_id' AS kind,
  user_id AS value
FROM staging.segment__identifies
WHERE user_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('segment/', event_id) AS event_id,
  ts,
  'email' AS kind,
  email AS value
FROM staging.segment__identifies
WHERE email IS NOT NULL
UNION ALL
SELECT
  CONCAT('calendly/', calendly_invitee_id) AS event_id,
  created_at AS ts,
  'calendly_invitee' AS kind,
  CONCAT(_account, '/', calendly_invitee_id) AS value
FROM staging.calendly__invitees
WHERE TRUE
UNION ALL
SELECT
  CONCAT('calendly/', calendly_invitee_id) AS event_id,
  created_at AS ts,
  'anonymous_id' AS kind,
  utm_term AS value
FROM staging.calendly__invitees
WHERE utm_term IS NOT NULL
UNION ALL
SELECT
  CONCAT('calendly/', calendly_invitee_id) AS event_id,
  created_at AS ts,
  'email' AS kind,
  email AS value
FROM staging.calendly__invitees
WHERE email IS NOT NULL
UNION ALL
SELECT
  CONCAT('stripe/', stripe_charge_id) AS event_id,
  created_at AS ts,
  'stripe_customer_id' AS kind,
  CONCAT(_account, '/', stripe_customer_id) AS value
FROM staging.stripe__charges
WHERE stripe_customer_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('zendesk', IF(_account = 'main', '', CONCAT('__', _account)), '/', zendesk_ticket_id) AS event_id,
  created_at AS ts,
  'zendesk_user_id' AS kind,
  CONCAT(_account, '/', zendesk_user_id) AS value
FROM staging.zendesk__tickets
WHERE zendesk_user_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('segment/', event_id) AS event_id,
  ts,
  'email' AS kind,
  REGEXP_REPLACE(
    REPLACE(REGEXP_EXTRACT(url, r'[?&](?:email|utm_email)=([^&#]+)'), '%40', '@'), r'%2[bB]', '+'
  ) AS value
FROM staging.segment__pages
WHERE REGEXP_CONTAINS(url, r'[?&](?:email|utm_email)=[^&#]+')
UNION ALL
SELECT
  CONCAT('segment/', event_id) AS event_id,
  ts,
  'email_sha256' AS kind,
  REGEXP_EXTRACT(url, r'[?&]eh=([0-9a-fA-F]{64})(?:[&#]|$)') AS value
FROM staging.segment__pages
WHERE REGEXP_CONTAINS(url, r'[?&]eh=[0-9a-fA-F]{64}(?:[&#]|$)')
UNION ALL
SELECT
  CONCAT('callrail/', calls.callrail_call_id) AS event_id,
  calls.started_at AS ts,
  carried.kind,
  carried.value
FROM
  staging.callrail__calls AS calls,
  UNNEST([
    STRUCT('callrail_call' AS kind, CONCAT(calls._account, '/', calls.callrail_call_id) AS value),
    STRUCT('anonymous_id' AS kind, calls.anonymous_id AS value),
    STRUCT('email' AS kind, calls.email AS value),
    STRUCT('phone' AS kind, calls.phone AS value)
  ]) AS carried
WHERE carried.value IS NOT NULL
UNION ALL
SELECT
  CONCAT('intercom', IF(_account = 'main', '', CONCAT('__', _account)), '/', intercom_conversation_id) AS event_id,
  created_at AS ts,
  'intercom_contact_id' AS kind,
  CONCAT(_account, '/', intercom_contact_id) AS value
FROM staging.intercom__conversations
WHERE intercom_contact_id IS NOT NULL
UNION ALL
SELECT
  CONCAT(
    'sendgrid', IF(_account = 'main', '', CONCAT('__', _account)),
    '/bounces/', SUBSTR(TO_HEX(SHA256(email)), 1, 32)
  ) AS event_id,
  created_at AS ts,
  'email' AS kind,
  email AS value
FROM staging.sendgrid__bounces
WHERE email IS NOT NULL
UNION ALL
SELECT
  CONCAT(
    'sendgrid', IF(_account = 'main', '', CONCAT('__', _account)),
    '/spam_reports/', SUBSTR(TO_HEX(SHA256(email)), 1, 32)
  ) AS event_id,
  created_at AS ts,
  'email' AS kind,
  email AS value
FROM staging.sendgrid__spam_reports
WHERE email IS NOT NULL
UNION ALL
SELECT
  CONCAT(
    'sendgrid', IF(_account = 'main', '', CONCAT('__', _account)),
    '/unsubscribes/', SUBSTR(TO_HEX(SHA256(email)), 1, 32)
  ) AS event_id,
  created_at AS ts,
  'email' AS kind,
  email AS value
FROM staging.sendgrid__unsubscribes
WHERE email IS NOT NULL
UNION ALL
SELECT
  CONCAT('salesforce', IF(_account = 'main', '', CONCAT('__', _account)), '/', salesforce_lead_id) AS event_id,
  created_at AS ts,
  'salesforce_lead_id' AS kind,
  CONCAT(_account, '/', salesforce_lead_id) AS value
FROM staging.salesforce__leads
WHERE TRUE
UNION ALL
SELECT
  CONCAT(
    'salesforce', IF(members._account = 'main', '', CONCAT('__', members._account)), '/',
    members.salesforce_campaign_member_id
  ) AS event_id,
  members.created_at AS ts,
  carried.kind,
  carried.value
FROM
  staging.salesforce__campaign_members AS members,
  UNNEST([
    STRUCT('salesforce_contact_id' AS kind, CONCAT(members._account, '/', members.salesforce_contact_id) AS value),
    STRUCT('salesforce_lead_id' AS kind, CONCAT(members._account, '/', members.salesforce_lead_id) AS value)
  ]) AS carried
WHERE carried.value IS NOT NULL
UNION ALL
SELECT
  CONCAT('salesforce', IF(_account = 'main', '', CONCAT('__', _account)), '/', salesforce_task_id) AS event_id,
  COALESCE(completed_at, created_at) AS ts,
  'salesforce_contact_id' AS kind,
  CONCAT(_account, '/', salesforce_contact_id) AS value
FROM staging.salesforce__tasks
WHERE salesforce_contact_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('salesforce', IF(_account = 'main', '', CONCAT('__', _account)), '/', salesforce_task_id) AS event_id,
  COALESCE(completed_at, created_at) AS ts,
  'salesforce_lead_id' AS kind,
  CONCAT(_account, '/', salesforce_lead_id) AS value
FROM staging.salesforce__tasks
WHERE salesforce_lead_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('salesforce', IF(_account = 'main', '', CONCAT('__', _account)), '/', salesforce_event_id) AS event_id,
  starts_at AS ts,
  'salesforce_contact_id' AS kind,
  CONCAT(_account, '/', salesforce_contact_id) AS value
FROM staging.salesforce__events
WHERE salesforce_contact_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('salesforce', IF(_account = 'main', '', CONCAT('__', _account)), '/', salesforce_event_id) AS event_id,
  starts_at AS ts,
  'salesforce_lead_id' AS kind,
  CONCAT(_account, '/', salesforce_lead_id) AS value
FROM staging.salesforce__events
WHERE salesforce_lead_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('salesforce', IF(_account = 'main', '', CONCAT('__', _account)), '/', salesforce_opportunity_id) AS event_id,
  created_at AS ts,
  'salesforce_contact_id' AS kind,
  CONCAT(_account, '/', salesforce_contact_id) AS value
FROM staging.salesforce__opportunities
WHERE salesforce_contact_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('xero/', xero_invoice_id) AS event_id,
  TIMESTAMP(issue_date) AS ts,
  'xero_contact_id' AS kind,
  CONCAT(_account, '/', xero_contact_id) AS value
FROM staging.xero__invoices
WHERE xero_contact_id IS NOT NULL AND invoice_type = 'ACCREC'
UNION ALL
SELECT
  CONCAT('xero/', xero_payment_id) AS event_id,
  TIMESTAMP(payment_date) AS ts,
  'xero_contact_id' AS kind,
  CONCAT(_account, '/', xero_contact_id) AS value
FROM staging.xero__payments
WHERE xero_contact_id IS NOT NULL AND payment_type = 'ACCRECPAYMENT'
UNION ALL
SELECT
  CONCAT('shopify/', shopify_order_id) AS event_id,
  ordered_at AS ts,
  'shopify_customer_id' AS kind,
  CONCAT(_account, '/', shopify_customer_id) AS value
FROM staging.shopify__orders
WHERE shopify_customer_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('shopify/', shopify_order_id) AS event_id,
  ordered_at AS ts,
  'anonymous_id' AS kind,
  anonymous_id AS value
FROM staging.shopify__orders
WHERE anonymous_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('shopify/', shopify_order_id) AS event_id,
  ordered_at AS ts,
  'email' AS kind,
  email AS value
FROM staging.shopify__orders
WHERE email IS NOT NULL
UNION ALL
SELECT
  CONCAT('shopify/checkouts/', shopify_checkout_id) AS event_id,
  created_at AS ts,
  'shopify_customer_id' AS kind,
  CONCAT(_account, '/', shopify_customer_id) AS value
FROM staging.shopify__abandoned_checkouts
WHERE shopify_customer_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('shopify/checkouts/', shopify_checkout_id) AS event_id,
  created_at AS ts,
  'anonymous_id' AS kind,
  anonymous_id AS value
FROM staging.shopify__abandoned_checkouts
WHERE anonymous_id IS NOT NULL
UNION ALL
SELECT
  CONCAT('jira', IF(_account = 'main', '', CONCAT('__', _account)), '/', jira_issue_id) AS event_id,
  created_at AS ts,
  'jira_account_id' AS kind,
  CONCAT(_account, '/', jira_account_id) AS value
FROM staging.jira__issues
WHERE jira_account_id IS NOT NULL AND reporter_type = 'customer'
UNION ALL
SELECT
  CONCAT('mandrill/messages/', SUBSTR(TO_HEX(SHA256(messages._key)), 1, 32)) AS event_id,
  messages.sent_at AS ts,
  carried.kind,
  carried.value
FROM
  staging.mandrill__messages AS messages,
  UNNEST([
    STRUCT('email' AS kind, messages.email AS value),
    STRUCT('user_id' AS kind, messages.user_id AS value)
  ]) AS carried
WHERE carried.value IS NOT NULL
UNION ALL
SELECT
  CONCAT(
    'mandrill', IF(_account = 'main', '', CONCAT('__', _account)),
    '/rejects/', SUBSTR(TO_HEX(SHA256(email)), 1, 32)
  ) AS event_id,
  created_at AS ts,
  'email' AS kind,
  email AS value
FROM staging.mandrill__rejects
WHERE email IS NOT NULL
UNION ALL
SELECT
  CONCAT('discourse', IF(_account = 'main', '', CONCAT('__', _account)), '/topics/', discourse_topic_id) AS event_id,
  created_at AS ts,
  'discourse_user_id' AS kind,
  CONCAT(_account, '/', discourse_user_id) AS value
FROM staging.discourse__topics
WHERE NOT STARTS_WITH(discourse_user_id, '-')
UNION ALL
SELECT
  CONCAT('discourse', IF(_account = 'main', '', CONCAT('__', _account)), '/posts/', discourse_post_id) AS event_id,
  created_at AS ts,
  'discourse_user_id' AS kind,
  CONCAT(_account, '/', discourse_user_id) AS value
FROM staging.discourse__posts
WHERE NOT STARTS_WITH(discourse_user_id, '-')
UNION ALL
SELECT
  event_id,
  ts,
  'email' AS kind,
  email AS value
FROM staging.collector__email_events
WHERE email IS NOT NULL
UNION ALL
SELECT
  event_id,
  ts,
  'email_sha256' AS kind,
  email_sha256 AS value
FROM staging.collector__email_events
WHERE email_sha256 IS NOT NULL
UNION ALL
SELECT
  CONCAT('airship', IF(pushes._account = 'main', '', CONCAT('__', pushes._account)), '/', pushes.event_id) AS event_id,
  pushes.ts,
  carried.kind,
  carried.value
FROM
  staging.collector__airship_events AS pushes,
  UNNEST([
    STRUCT('channel_id' AS kind, CONCAT(pushes._account, '/', pushes.airship_channel_id) AS value),
    STRUCT('user_id' AS kind, pushes.user_id AS value)
  ]) AS carried
WHERE carried.value IS NOT NULL
UNION ALL
SELECT
  CONCAT('phantombuster/', profiles.phantombuster_row_id) AS event_id,
  profiles.happened_at AS ts,
  carried.kind,
  carried.value
FROM
  staging.phantombuster__rows AS profiles,
  UNNEST([
    STRUCT('linkedin_url' AS kind, profiles.linkedin_url AS value),
    STRUCT('twitter_handle' AS kind, profiles.twitter_handle AS value)
  ]) AS carried
WHERE carried.value IS NOT NULL AND profiles.kind != 'seen'
UNION ALL
SELECT
  CONCAT('snowplow/', seen.event_id) AS event_id,
  seen.ts,
  carried.kind,
  carried.value
FROM
  (
    SELECT
      *,
      IF(event = 'page_view', url, NULL) AS opened_url
    FROM staging.snowplow__events
    WHERE event != 'page_ping'
  ) AS seen,
  UNNEST([
    STRUCT('anonymous_id' AS kind, seen.anonymous_id AS value),
    STRUCT('device_id' AS kind, seen.network_user_id AS value),
    STRUCT('user_id' AS kind, seen.user_id AS value),
    STRUCT(
      'email' AS kind,
      REGEXP_REPLACE(
        REPLACE(REGEXP_EXTRACT(seen.opened_url, r'[?&](?:email|utm_email)=([^&#]+)'), '%40', '@'), r'%2[bB]', '+'
      ) AS value
    ),
    STRUCT(
      'email_sha256' AS kind, REGEXP_EXTRACT(seen.opened_url, r'[?&]eh=([0-9a-fA-F]{64})(?:[&#]|$)') AS value
    )
  ]) AS carried
WHERE carried.value IS NOT NULL
