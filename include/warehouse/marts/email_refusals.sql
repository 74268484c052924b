/*
title: Addresses that refused mail or that mail could not reach, one row per address and reason.
columns:
  refusal_id: The refusal's id, its source first (`sendgrid/bounces/...`); `event_id` of identity.events.
  customer_id: The person; `customer_id` of marts.customers.
  refused_at: When it was noted, UTC.
  reason: bounced, reported_spam or unsubscribed.
  address: The address, in lower case.
  source: The system that sent the mail.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
WITH
refusals AS (
  SELECT
    _account,
    'bounces' AS stream,
    'bounced' AS reason,
    email,
    created_at
  FROM staging.sendgrid__bounces
  WHERE NOT is_deleted
  UNION ALL
  SELECT
    _account,
    'spam_reports' AS stream,
    'reported_spam' AS reason,
    email,
    created_at
  FROM staging.sendgrid__spam_reports
  WHERE NOT is_deleted
  UNION ALL
  SELECT
    _account,
    'unsubscribes' AS stream,
    'unsubscribed' AS reason,
    email,
    created_at
  FROM staging.sendgrid__unsubscribes
  WHERE NOT is_deleted
)

SELECT
  events.event_id AS refusal_id,
  events.customer_id,
  refusals.created_at AS refused_at,
  refusals.reason,
  LOWER(TRIM(refusals.email)) AS address,
  'sendgrid' AS source,
  events.is_inferred AS is_inferred_identity
FROM refusals
INNER JOIN identity.events AS events
  ON events.event_id = CONCAT(
    'sendgrid', IF(refusals._account = 'main', '', CONCAT('__', refusals._account)),
    '/', refusals.stream, '/', SUBSTR(TO_HEX(SHA256(refusals.email)), 1, 32)
  )
