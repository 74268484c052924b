/*
title: Addresses that refused mail or that mail could not reach, one row per sender, address, reason and list.
why: >-
  What several events say is one refusal, the latest. Who was taken off a list and comes back by themselves has
  agreed again; the row stays, because it happened
columns:
  refusal_id: The refusal's id, its source first (`sendgrid/bounces/...`); `event_id` of identity.events.
  customer_id: The person; `customer_id` of marts.customers.
  refused_at: When it was noted, UTC.
  reason: bounced, reported_spam, unsubscribed, or blocked by staff.
  address: The address, in lower case.
  list_id: The list that was unsubscribed from; NULL for every mail of the sender.
  taken_back_at: When the address was subscribed to the same list again, UTC; NULL while the refusal holds.
  source: The system that sent the mail.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
WITH
refusals AS (
  SELECT
    _account,
    CONCAT(
      'sendgrid', IF(_account = 'main', '', CONCAT('__', _account)),
      '/bounces/', SUBSTR(TO_HEX(SHA256(email)), 1, 32)
    ) AS event_id,
    'sendgrid' AS source,
    'bounced' AS reason,
    LOWER(TRIM(email)) AS address,
    CAST(NULL AS STRING) AS list_id,
    created_at AS refused_at
  FROM staging.sendgrid__bounces
  WHERE NOT is_deleted
  UNION ALL
  SELECT
    _account,
    CONCAT(
      'sendgrid', IF(_account = 'main', '', CONCAT('__', _account)),
      '/spam_reports/', SUBSTR(TO_HEX(SHA256(email)), 1, 32)
    ) AS event_id,
    'sendgrid' AS source,
    'reported_spam' AS reason,
    LOWER(TRIM(email)) AS address,
    CAST(NULL AS STRING) AS list_id,
    created_at AS refused_at
  FROM staging.sendgrid__spam_reports
  WHERE NOT is_deleted
  UNION ALL
  SELECT
    _account,
    CONCAT(
      'sendgrid', IF(_account = 'main', '', CONCAT('__', _account)),
      '/unsubscribes/', SUBSTR(TO_HEX(SHA256(email)), 1, 32)
    ) AS event_id,
    'sendgrid' AS source,
    'unsubscribed' AS reason,
    LOWER(TRIM(email)) AS address,
    CAST(NULL AS STRING) AS list_id,
    created_at AS refused_at
  FROM staging.sendgrid__unsubscribes
  WHERE NOT is_deleted
  UNION ALL
  SELECT
    _account,
    CONCAT(
      'mandrill', IF(_account = 'main', '', CONCAT('__', _account)),
      '/rejects/', SUBSTR(TO_HEX(SHA256(email)), 1, 32)
    ) AS event_id,
    'mandrill' AS source,
    CASE reason
      WHEN 'hard-bounce' THEN 'bounced'
      WHEN 'spam' THEN 'reported_spam'
      WHEN 'unsub' THEN 'unsubscribed'
      ELSE 'blocked'
    END AS reason,
    LOWER(TRIM(email)) AS address,
    CAST(NULL AS STRING) AS list_id,
    created_at AS refused_at
  FROM staging.mandrill__rejects
  -- What bounced softly is tried again by itself.
  WHERE reason != 'soft-bounce' AND NOT is_deleted
  UNION ALL
  SELECT
    _account,
    event_id,
    source,
    kind AS reason,
    LOWER(TRIM(email)) AS address,
    list_id,
    ts AS refused_at
  FROM staging.collector__email_events
  WHERE kind IN ('bounced', 'reported_spam', 'unsubscribed')
),

agreements AS (
  SELECT
    _account,
    source,
    LOWER(TRIM(email)) AS address,
    list_id,
    ts AS agreed_at
  FROM staging.collector__email_events
  WHERE kind = 'subscribed'
  UNION ALL
  SELECT
    _account,
    'mailchimp' AS source,
    LOWER(TRIM(email)) AS address,
    mailchimp_list_id AS list_id,
    updated_at AS agreed_at
  FROM staging.mailchimp__members
  WHERE status = 'subscribed' AND NOT is_deleted
),

latest AS (
  SELECT
    events.event_id,
    events.customer_id,
    events.is_inferred,
    refusals._account,
    refusals.source,
    refusals.reason,
    refusals.address,
    refusals.list_id,
    refusals.refused_at
  FROM refusals
  INNER JOIN identity.events AS events ON refusals.event_id = events.event_id
  QUALIFY
    ROW_NUMBER() OVER (
      PARTITION BY
        events.customer_id, refusals.source, refusals._account, refusals.address, refusals.reason, refusals.list_id
      ORDER BY refusals.refused_at DESC, events.event_id ASC
    ) = 1
),

taken_back AS (
  SELECT
    latest.event_id,
    MAX(agreements.agreed_at) AS taken_back_at
  FROM latest
  INNER JOIN agreements
    ON
      latest._account = agreements._account
      AND latest.source = agreements.source
      AND latest.address = agreements.address
      AND latest.list_id = agreements.list_id
  WHERE agreements.agreed_at > latest.refused_at
  GROUP BY latest.event_id
)

SELECT
  latest.event_id AS refusal_id,
  latest.customer_id,
  latest.refused_at,
  latest.reason,
  latest.address,
  latest.list_id,
  taken_back.taken_back_at,
  latest.source,
  latest.is_inferred AS is_inferred_identity
FROM latest
LEFT JOIN taken_back ON latest.event_id = taken_back.event_id
