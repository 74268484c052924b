/*
title: "Phone: the CRM first, then support, payments and bookings; the number of a call last."
*/
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.phone), '') AS value,
  'hubspot' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  1 AS priority
FROM staging.hubspot__contacts AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'hubspot_contact_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.hubspot_contact_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.phone), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.phone), '') AS value,
  'zendesk' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  2 AS priority
FROM staging.zendesk__users AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'zendesk_user_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.zendesk_user_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.phone), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.phone), '') AS value,
  'stripe' AS source,
  r._key AS record_key,
  r.created_at AS seen_at,
  3 AS priority
FROM staging.stripe__customers AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'stripe_customer_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.stripe_customer_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.phone), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.phone), '') AS value,
  'calendly' AS source,
  r._key AS record_key,
  r.created_at AS seen_at,
  4 AS priority
FROM staging.calendly__invitees AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'calendly_invitee'
    AND ids.value = CONCAT(@space, r._account, '/', r.calendly_invitee_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.phone), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.phone), '') AS value,
  'salesforce' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  1 AS priority
FROM staging.salesforce__contacts AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'salesforce_contact_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.salesforce_contact_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.phone), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.phone), '') AS value,
  'intercom' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  2 AS priority
FROM staging.intercom__contacts AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'intercom_contact_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.intercom_contact_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.phone), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.phone), '') AS value,
  'xero' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  3 AS priority
FROM staging.xero__contacts AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'xero_contact_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.xero_contact_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.phone), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.phone), '') AS value,
  'sendgrid' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  4 AS priority
FROM staging.sendgrid__contacts AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'sendgrid_contact_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.sendgrid_contact_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.phone), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.phone), '') AS value,
  'salesforce' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  4 AS priority
FROM staging.salesforce__leads AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'salesforce_lead_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.salesforce_lead_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.phone), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.phone), '') AS value,
  'callrail' AS source,
  r._key AS record_key,
  r.started_at AS seen_at,
  5 AS priority
FROM staging.callrail__calls AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'callrail_call'
    AND ids.value = CONCAT(@space, r._account, '/', r.callrail_call_id)
    AND NOT ids.is_inferred
-- Of a call the number is known, not whose it is.
INNER JOIN identity.identifiers AS own
  ON
    own.kind = 'phone'
    AND own.value = CONCAT(@space, TRIM(r.phone))
    AND ids.customer_id = own.customer_id
    AND NOT own.is_inferred
WHERE NULLIF(TRIM(r.phone), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.phone), '') AS value,
  'shopify' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  4 AS priority
FROM staging.shopify__customers AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'shopify_customer_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.shopify_customer_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.phone), '') IS NOT NULL AND NOT r.is_deleted
