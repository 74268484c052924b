/*
title: Mails that reached people and what people did with them, one row per event, whoever sent them.
why: A message that Mandrill's list shows is told by the list, which knows its template, and not by its webhook.
columns:
  email_touch_id: The event's id, its source first (`sendgrid/...`); `event_id` of identity.events.
  customer_id: The person; `customer_id` of marts.customers.
  touched_at: When it happened, UTC.
  kind: received, opened, fetched (opened by a machine, as far as the sender can tell), clicked or subscribed.
  campaign: First tag, category or campaign of the message.
  template: Template of the message, where the sender says so.
  open_count: How often the message was opened so far, where the sender counts.
  click_count: How often its links were clicked so far, where the sender counts.
  url: Where the link that was clicked leads.
  source: The system that sent the mail.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
WITH
touches AS (
  SELECT
    CONCAT('mandrill/messages/', SUBSTR(TO_HEX(SHA256(_key)), 1, 32)) AS event_id,
    sent_at AS touched_at,
    'received' AS kind,
    first_tag AS campaign,
    template,
    open_count,
    click_count,
    CAST(NULL AS STRING) AS url,
    'mandrill' AS source
  FROM staging.mandrill__messages
  WHERE status IN ('sent', 'spam', 'unsub') AND NOT is_deleted
  UNION ALL
  SELECT
    mails.event_id,
    mails.ts AS touched_at,
    -- Apple's mail program loads every picture, whether anybody looks or not.
    CASE WHEN mails.kind = 'delivered' THEN 'received' WHEN mails.is_machine THEN 'fetched' ELSE mails.kind END AS kind,
    mails.campaign,
    CAST(NULL AS STRING) AS template,
    CAST(NULL AS INT64) AS open_count,
    CAST(NULL AS INT64) AS click_count,
    mails.url,
    mails.source
  FROM staging.collector__email_events AS mails
  LEFT JOIN staging.mandrill__messages AS listed
    ON mails.message_id = listed.mandrill_message_id AND mails.source = 'mandrill' AND mails.kind = 'delivered'
  WHERE mails.kind IN ('delivered', 'opened', 'clicked', 'subscribed') AND listed.mandrill_message_id IS NULL
)

SELECT
  touches.event_id AS email_touch_id,
  events.customer_id,
  touches.touched_at,
  touches.kind,
  touches.campaign,
  touches.template,
  touches.open_count,
  touches.click_count,
  touches.url,
  touches.source,
  events.is_inferred AS is_inferred_identity
FROM touches
INNER JOIN identity.events AS events ON touches.event_id = events.event_id
