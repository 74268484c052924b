/*
title: Every identifier that an event carries; an event's owner is found through the strongest of them.
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
