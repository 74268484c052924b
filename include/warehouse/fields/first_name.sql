/*
title: "First name: the CRM first, then the account, then what the person typed elsewhere."
*/
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.first_name), '') AS value,
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
WHERE NULLIF(TRIM(r.first_name), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.first_name), '') AS value,
  r.source,
  r._key AS record_key,
  r.received_at AS seen_at,
  2 AS priority
FROM staging.segment__users AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'user_id'
    AND ids.value = CONCAT(@space, r.user_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.first_name), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.first_name), '') AS value,
  'mailchimp' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  3 AS priority
FROM staging.mailchimp__members AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'mailchimp_member_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.mailchimp_list_id, '/', r.mailchimp_member_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.first_name), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  REGEXP_EXTRACT(TRIM(r.full_name), r'^(\S+)') AS value,
  'stripe' AS source,
  r._key AS record_key,
  r.created_at AS seen_at,
  4 AS priority
FROM staging.stripe__customers AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'stripe_customer_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.stripe_customer_id)
    AND NOT ids.is_inferred
WHERE REGEXP_EXTRACT(TRIM(r.full_name), r'^(\S+)') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  REGEXP_EXTRACT(TRIM(r.full_name), r'^(\S+)') AS value,
  'calendly' AS source,
  r._key AS record_key,
  r.created_at AS seen_at,
  5 AS priority
FROM staging.calendly__invitees AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'calendly_invitee'
    AND ids.value = CONCAT(@space, r._account, '/', r.calendly_invitee_id)
    AND NOT ids.is_inferred
WHERE REGEXP_EXTRACT(TRIM(r.full_name), r'^(\S+)') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  REGEXP_EXTRACT(TRIM(r.full_name), r'^(\S+)') AS value,
  'zendesk' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  6 AS priority
FROM staging.zendesk__users AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'zendesk_user_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.zendesk_user_id)
    AND NOT ids.is_inferred
WHERE REGEXP_EXTRACT(TRIM(r.full_name), r'^(\S+)') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.first_name), '') AS value,
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
WHERE NULLIF(TRIM(r.first_name), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.first_name), '') AS value,
  'sendgrid' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  3 AS priority
FROM staging.sendgrid__contacts AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'sendgrid_contact_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.sendgrid_contact_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.first_name), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.first_name), '') AS value,
  'xero' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  4 AS priority
FROM staging.xero__contacts AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'xero_contact_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.xero_contact_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.first_name), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.first_name), '') AS value,
  'salesforce' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  5 AS priority
FROM staging.salesforce__leads AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'salesforce_lead_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.salesforce_lead_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.first_name), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  REGEXP_EXTRACT(TRIM(r.full_name), r'^(\S+)') AS value,
  'intercom' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  6 AS priority
FROM staging.intercom__contacts AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'intercom_contact_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.intercom_contact_id)
    AND NOT ids.is_inferred
WHERE REGEXP_EXTRACT(TRIM(r.full_name), r'^(\S+)') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  NULLIF(TRIM(r.first_name), '') AS value,
  'shopify' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  3 AS priority
FROM staging.shopify__customers AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'shopify_customer_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.shopify_customer_id)
    AND NOT ids.is_inferred
WHERE NULLIF(TRIM(r.first_name), '') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  REGEXP_EXTRACT(TRIM(r.full_name), r'^(\S+)') AS value,
  'jira' AS source,
  r._key AS record_key,
  r._extracted_at AS seen_at,
  5 AS priority
FROM staging.jira__users AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'jira_account_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.jira_account_id)
    AND NOT ids.is_inferred
WHERE REGEXP_EXTRACT(TRIM(r.full_name), r'^(\S+)') IS NOT NULL AND NOT r.is_deleted
UNION ALL
SELECT
  ids.customer_id,
  REGEXP_EXTRACT(TRIM(r.full_name), r'^(\S+)') AS value,
  'discourse' AS source,
  r._key AS record_key,
  r.last_seen_at AS seen_at,
  6 AS priority
FROM staging.discourse__users AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'discourse_user_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.discourse_user_id)
    AND NOT ids.is_inferred
WHERE REGEXP_EXTRACT(TRIM(r.full_name), r'^(\S+)') IS NOT NULL AND NOT r.is_deleted
