/*
title: What became of mails, one row per event and recipient, whoever sent them.
why: >-
  One table for every sender, because all of it is read together. Steps of the sender's own machines (processed,
  deferred, dropped), bounces that may pass, and changes of profiles stay raw
columns:
  event_id: The event, its source first (`sendgrid/...`), as in identity.events.
  source: sendgrid, mandrill, mailchimp, ses, or email for mails of our own making.
  kind: delivered, opened, clicked, bounced (for good), reported_spam, unsubscribed or subscribed.
  email: The recipient's address; NULL for mails of our own making.
  email_sha256: Hash of the recipient's address, which links in mails of our own making carry.
  list_id: What was unsubscribed from or subscribed to, a Mailchimp audience or a SendGrid group; NULL for everything.
  message_id: The sender's id of the message.
  campaign: First tag, category or campaign of the message.
  url: Where the link that was clicked leads.
  is_machine: Whether the sender says that a mail program fetched it, and no person.
  ts: When it happened, UTC; when it was received here, where the sender does not say.
  is_deleted: Always FALSE; events are not taken back.
*/
WITH
ses AS (
  SELECT
    _account,
    _key,
    _seq,
    _extracted_at,
    _payload,
    COALESCE(JSON_VALUE(_payload, '$.event.eventType'), JSON_VALUE(_payload, '$.event.notificationType')) AS event
  FROM raw.collector__ses_events
),

ses_recipients AS (
  SELECT
    _account,
    _key,
    _seq,
    _extracted_at,
    _payload,
    event,
    COALESCE(JSON_VALUE(recipient, '$.emailAddress'), JSON_VALUE(recipient, '$')) AS email
  FROM
    ses,
    UNNEST(
      CASE event
        WHEN 'Bounce' THEN JSON_QUERY_ARRAY(_payload, '$.event.bounce.bouncedRecipients')
        WHEN 'Complaint' THEN JSON_QUERY_ARRAY(_payload, '$.event.complaint.complainedRecipients')
        WHEN 'Delivery' THEN JSON_QUERY_ARRAY(_payload, '$.event.delivery.recipients')
        ELSE JSON_QUERY_ARRAY(_payload, '$.event.mail.destination')
      END
    ) AS recipient
  -- Of a mail to several, nobody can say who opened it.
  WHERE
    event IN ('Bounce', 'Complaint', 'Delivery')
    OR ARRAY_LENGTH(JSON_QUERY_ARRAY(_payload, '$.event.mail.destination')) = 1
),

-- Opens and clicks of Mandrill come by webhook and in the list of messages; the second says which it was.
mandrill AS (
  SELECT
    _account,
    _seq,
    _extracted_at,
    JSON_VALUE(_payload, '$.event') AS event,
    COALESCE(JSON_VALUE(_payload, '$._id'), JSON_VALUE(_payload, '$.msg._id')) AS message_id,
    JSON_VALUE(_payload, '$.msg.email') AS email,
    JSON_VALUE(_payload, '$.msg.tags[0]') AS campaign,
    JSON_VALUE(_payload, '$.url') AS url,
    JSON_VALUE(_payload, '$.ts') AS happened
  FROM raw.collector__mandrill_events
  UNION ALL
  SELECT
    _account,
    _seq,
    _extracted_at,
    'open' AS event,
    JSON_VALUE(_payload, '$._id') AS message_id,
    JSON_VALUE(_payload, '$.email') AS email,
    JSON_VALUE(_payload, '$.tags[0]') AS campaign,
    CAST(NULL AS STRING) AS url,
    JSON_VALUE(detail, '$.ts') AS happened
  FROM raw.mandrill__messages, UNNEST(JSON_QUERY_ARRAY(_payload, '$.opens_detail')) AS detail
  UNION ALL
  SELECT
    _account,
    _seq,
    _extracted_at,
    'click' AS event,
    JSON_VALUE(_payload, '$._id') AS message_id,
    JSON_VALUE(_payload, '$.email') AS email,
    JSON_VALUE(_payload, '$.tags[0]') AS campaign,
    JSON_VALUE(detail, '$.url') AS url,
    JSON_VALUE(detail, '$.ts') AS happened
  FROM raw.mandrill__messages, UNNEST(JSON_QUERY_ARRAY(_payload, '$.clicks_detail')) AS detail
),

told AS (
  SELECT
    _account,
    _key,
    _seq,
    _extracted_at,
    'sendgrid' AS source,
    CASE JSON_VALUE(_payload, '$.event')
      WHEN 'delivered' THEN 'delivered'
      WHEN 'open' THEN 'opened'
      WHEN 'click' THEN 'clicked'
      WHEN 'bounce' THEN IF(JSON_VALUE(_payload, '$.type') = 'blocked', NULL, 'bounced')
      WHEN 'spamreport' THEN 'reported_spam'
      WHEN 'unsubscribe' THEN 'unsubscribed'
      WHEN 'group_unsubscribe' THEN 'unsubscribed'
      WHEN 'group_resubscribe' THEN 'subscribed'
    END AS kind,
    JSON_VALUE(_payload, '$.email') AS email,
    CAST(NULL AS STRING) AS email_sha256,
    JSON_VALUE(_payload, '$.asm_group_id') AS list_id,
    REGEXP_EXTRACT(JSON_VALUE(_payload, '$.sg_message_id'), r'^[^.]+') AS message_id,
    COALESCE(JSON_VALUE(_payload, '$.category'), JSON_VALUE(_payload, '$.category[0]')) AS campaign,
    JSON_VALUE(_payload, '$.url') AS url,
    COALESCE(JSON_VALUE(_payload, '$.sg_machine_open') = 'true', FALSE) AS is_machine,
    -- Seconds too many for a time would fail the whole statement.
    TIMESTAMP_SECONDS(
      SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.timestamp'), r'^\d{1,11}$') AS INT64)
    ) AS ts
  FROM raw.collector__sendgrid_events
  UNION ALL
  SELECT
    _account,
    -- A message is delivered once, and opened at most once in a second.
    CONCAT(message_id, '/', event, IF(event IN ('open', 'click'), CONCAT('/', COALESCE(happened, '')), '')) AS _key,
    _seq,
    _extracted_at,
    'mandrill' AS source,
    CASE event
      WHEN 'send' THEN 'delivered'
      WHEN 'open' THEN 'opened'
      WHEN 'click' THEN 'clicked'
      WHEN 'hard_bounce' THEN 'bounced'
      WHEN 'spam' THEN 'reported_spam'
      WHEN 'unsub' THEN 'unsubscribed'
    END AS kind,
    email,
    CAST(NULL AS STRING) AS email_sha256,
    CAST(NULL AS STRING) AS list_id,
    message_id,
    campaign,
    url,
    FALSE AS is_machine,
    TIMESTAMP_SECONDS(SAFE_CAST(REGEXP_EXTRACT(happened, r'^\d{1,11}$') AS INT64)) AS ts
  FROM mandrill
  WHERE message_id IS NOT NULL
  UNION ALL
  SELECT
    _account,
    _key,
    _seq,
    _extracted_at,
    'mailchimp' AS source,
    CASE JSON_VALUE(_payload, '$.type')
      WHEN 'subscribe' THEN 'subscribed'
      WHEN 'unsubscribe' THEN 'unsubscribed'
      WHEN 'cleaned' THEN IF(JSON_VALUE(_payload, '$."data[reason]"') = 'abuse', 'reported_spam', 'bounced')
    END AS kind,
    JSON_VALUE(_payload, '$."data[email]"') AS email,
    CAST(NULL AS STRING) AS email_sha256,
    JSON_VALUE(_payload, '$."data[list_id]"') AS list_id,
    CAST(NULL AS STRING) AS message_id,
    JSON_VALUE(_payload, '$."data[campaign_id]"') AS campaign,
    CAST(NULL AS STRING) AS url,
    FALSE AS is_machine,
    -- Written without a zone, in UTC.
    SAFE_CAST(
      CONCAT(REPLACE(SUBSTR(JSON_VALUE(_payload, '$.fired_at'), 1, 19), ' ', 'T'), 'Z') AS TIMESTAMP
    ) AS ts
  FROM raw.collector__mailchimp_events
  UNION ALL
  -- Mailchimp's webhook tells of lists, its reports of mails; a bounce both tell is one refusal all the same.
  SELECT
    _account,
    CONCAT(
      'activity/', JSON_VALUE(_payload, '$.campaign_id'), '/', JSON_VALUE(_payload, '$.email_id'), '/',
      JSON_VALUE(did, '$.action'), '/', JSON_VALUE(did, '$.timestamp'), '/',
      SUBSTR(TO_HEX(SHA256(COALESCE(JSON_VALUE(did, '$.url'), ''))), 1, 8)
    ) AS _key,
    _seq,
    _extracted_at,
    'mailchimp' AS source,
    CASE JSON_VALUE(did, '$.action')
      WHEN 'open' THEN 'opened'
      WHEN 'click' THEN 'clicked'
      WHEN 'bounce' THEN IF(JSON_VALUE(did, '$.type') = 'hard', 'bounced', NULL)
    END AS kind,
    JSON_VALUE(_payload, '$.email_address') AS email,
    CAST(NULL AS STRING) AS email_sha256,
    JSON_VALUE(_payload, '$.list_id') AS list_id,
    CAST(NULL AS STRING) AS message_id,
    JSON_VALUE(_payload, '$.campaign_id') AS campaign,
    JSON_VALUE(did, '$.url') AS url,
    FALSE AS is_machine,
    SAFE_CAST(JSON_VALUE(did, '$.timestamp') AS TIMESTAMP) AS ts
  FROM raw.mailchimp__email_activity, UNNEST(JSON_QUERY_ARRAY(_payload, '$.activity')) AS did
  -- Without a time two opens could not be told apart.
  WHERE JSON_VALUE(did, '$.timestamp') IS NOT NULL
  UNION ALL
  SELECT
    _account,
    CONCAT(_key, '/', SUBSTR(TO_HEX(SHA256(COALESCE(email, ''))), 1, 32)) AS _key,
    _seq,
    _extracted_at,
    'ses' AS source,
    CASE event
      WHEN 'Delivery' THEN 'delivered'
      WHEN 'Open' THEN 'opened'
      WHEN 'Click' THEN 'clicked'
      WHEN 'Bounce' THEN IF(JSON_VALUE(_payload, '$.event.bounce.bounceType') = 'Permanent', 'bounced', NULL)
      WHEN 'Complaint' THEN 'reported_spam'
      WHEN 'Subscription'
        THEN
          IF(
            JSON_VALUE(_payload, '$.event.subscription.newTopicPreferences.unsubscribeAll') = 'true',
            'unsubscribed', NULL
          )
    END AS kind,
    email,
    CAST(NULL AS STRING) AS email_sha256,
    CAST(NULL AS STRING) AS list_id,
    JSON_VALUE(_payload, '$.event.mail.messageId') AS message_id,
    JSON_VALUE(_payload, '$.event.mail.tags.campaign[0]') AS campaign,
    JSON_VALUE(_payload, '$.event.click.link') AS url,
    FALSE AS is_machine,
    SAFE_CAST(
      COALESCE(
        JSON_VALUE(_payload, '$.event.delivery.timestamp'),
        JSON_VALUE(_payload, '$.event.open.timestamp'),
        JSON_VALUE(_payload, '$.event.click.timestamp'),
        JSON_VALUE(_payload, '$.event.bounce.timestamp'),
        JSON_VALUE(_payload, '$.event.complaint.timestamp'),
        JSON_VALUE(_payload, '$.event.subscription.timestamp'),
        JSON_VALUE(_payload, '$.event.mail.timestamp')
      ) AS TIMESTAMP
    ) AS ts
  FROM ses_recipients
  UNION ALL
  SELECT
    _account,
    _key,
    _seq,
    _extracted_at,
    'email' AS source,
    'opened' AS kind,
    CAST(NULL AS STRING) AS email,
    JSON_VALUE(_payload, '$.query.e') AS email_sha256,
    CAST(NULL AS STRING) AS list_id,
    CAST(NULL AS STRING) AS message_id,
    JSON_VALUE(_payload, '$.query.c') AS campaign,
    CAST(NULL AS STRING) AS url,
    FALSE AS is_machine,
    SAFE_CAST(JSON_VALUE(_payload, '$.at') AS TIMESTAMP) AS ts
  FROM raw.collector__email_opens
  UNION ALL
  SELECT
    _account,
    _key,
    _seq,
    _extracted_at,
    'email' AS source,
    'clicked' AS kind,
    CAST(NULL AS STRING) AS email,
    JSON_VALUE(_payload, '$.query.e') AS email_sha256,
    CAST(NULL AS STRING) AS list_id,
    CAST(NULL AS STRING) AS message_id,
    JSON_VALUE(_payload, '$.query.c') AS campaign,
    JSON_VALUE(_payload, '$.query.u') AS url,
    FALSE AS is_machine,
    SAFE_CAST(JSON_VALUE(_payload, '$.at') AS TIMESTAMP) AS ts
  FROM raw.collector__email_clicks
)

SELECT
  _account,
  CONCAT(source, '/', _key) AS _key,
  _seq,
  _extracted_at,
  CONCAT(source, IF(_account = 'main', '', CONCAT('__', _account)), '/', _key) AS event_id,
  source,
  kind,
  NULLIF(email, '') AS email,
  LOWER(REGEXP_EXTRACT(email_sha256, r'^[0-9a-fA-F]{64}$')) AS email_sha256,
  NULLIF(list_id, '') AS list_id,
  NULLIF(message_id, '') AS message_id,
  NULLIF(campaign, '') AS campaign,
  NULLIF(url, '') AS url,
  is_machine,
  COALESCE(ts, _extracted_at) AS ts,
  FALSE AS is_deleted
FROM told
WHERE kind IS NOT NULL
