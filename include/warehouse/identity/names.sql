/*
title: The name each record carries, so that stitching can refuse to fuse people whose names disagree.
why: "Only people have names here: a line of the telephone network or an organisation would set people apart."
columns:
  kind: Kind of the identifier that carries the name; one of identity/kinds.py.
  value: The identifier, normalized.
  first_name: First name on the record.
  last_name: Last name on the record.
*/
SELECT
  'hubspot_contact_id' AS kind,
  CONCAT(_account, '/', hubspot_contact_id) AS value,
  first_name,
  last_name
FROM staging.hubspot__contacts
WHERE first_name IS NOT NULL OR last_name IS NOT NULL
UNION ALL
SELECT
  'mailchimp_member_id' AS kind,
  CONCAT(_account, '/', mailchimp_list_id, '/', mailchimp_member_id) AS value,
  first_name,
  last_name
FROM staging.mailchimp__members
WHERE first_name IS NOT NULL OR last_name IS NOT NULL
UNION ALL
SELECT
  'calendly_invitee' AS kind,
  CONCAT(_account, '/', calendly_invitee_id) AS value,
  REGEXP_EXTRACT(TRIM(full_name), r'^(\S+)') AS first_name,
  REGEXP_EXTRACT(TRIM(full_name), r'\s(\S+)$') AS last_name
FROM staging.calendly__invitees
WHERE full_name IS NOT NULL
UNION ALL
SELECT
  'zendesk_user_id' AS kind,
  CONCAT(_account, '/', zendesk_user_id) AS value,
  REGEXP_EXTRACT(TRIM(full_name), r'^(\S+)') AS first_name,
  REGEXP_EXTRACT(TRIM(full_name), r'\s(\S+)$') AS last_name
FROM staging.zendesk__users
WHERE full_name IS NOT NULL
UNION ALL
SELECT
  'stripe_customer_id' AS kind,
  CONCAT(_account, '/', stripe_customer_id) AS value,
  REGEXP_EXTRACT(TRIM(full_name), r'^(\S+)') AS first_name,
  REGEXP_EXTRACT(TRIM(full_name), r'\s(\S+)$') AS last_name
FROM staging.stripe__customers
WHERE full_name IS NOT NULL
UNION ALL
SELECT
  'user_id' AS kind,
  user_id AS value,
  first_name,
  last_name
FROM staging.segment__users
WHERE first_name IS NOT NULL OR last_name IS NOT NULL
UNION ALL
SELECT
  'user_id' AS kind,
  user_id AS value,
  first_name,
  last_name
FROM staging.segment__identifies
WHERE user_id IS NOT NULL AND (first_name IS NOT NULL OR last_name IS NOT NULL)
UNION ALL
SELECT
  'email' AS kind,
  email AS value,
  first_name,
  last_name
FROM staging.segment__identifies
WHERE email IS NOT NULL AND (first_name IS NOT NULL OR last_name IS NOT NULL)
UNION ALL
SELECT
  'salesforce_contact_id' AS kind,
  CONCAT(_account, '/', salesforce_contact_id) AS value,
  first_name,
  last_name
FROM staging.salesforce__contacts
WHERE first_name IS NOT NULL OR last_name IS NOT NULL
UNION ALL
SELECT
  'salesforce_lead_id' AS kind,
  CONCAT(_account, '/', salesforce_lead_id) AS value,
  first_name,
  last_name
FROM staging.salesforce__leads
WHERE first_name IS NOT NULL OR last_name IS NOT NULL
UNION ALL
SELECT
  'sendgrid_contact_id' AS kind,
  CONCAT(_account, '/', sendgrid_contact_id) AS value,
  first_name,
  last_name
FROM staging.sendgrid__contacts
WHERE first_name IS NOT NULL OR last_name IS NOT NULL
UNION ALL
SELECT
  'xero_contact_id' AS kind,
  CONCAT(_account, '/', xero_contact_id) AS value,
  first_name,
  last_name
FROM staging.xero__contacts
WHERE first_name IS NOT NULL OR last_name IS NOT NULL
UNION ALL
SELECT
  'intercom_contact_id' AS kind,
  CONCAT(_account, '/', intercom_contact_id) AS value,
  REGEXP_EXTRACT(TRIM(full_name), r'^(\S+)') AS first_name,
  REGEXP_EXTRACT(TRIM(full_name), r'\s(\S+)$') AS last_name
FROM staging.intercom__contacts
WHERE full_name IS NOT NULL
UNION ALL
SELECT
  'shopify_customer_id' AS kind,
  CONCAT(_account, '/', shopify_customer_id) AS value,
  first_name,
  last_name
FROM staging.shopify__customers
WHERE first_name IS NOT NULL OR last_name IS NOT NULL
UNION ALL
SELECT
  'jira_account_id' AS kind,
  CONCAT(_account, '/', jira_account_id) AS value,
  REGEXP_EXTRACT(TRIM(full_name), r'^(\S+)') AS first_name,
  REGEXP_EXTRACT(TRIM(full_name), r'\s(\S+)$') AS last_name
FROM staging.jira__users
WHERE full_name IS NOT NULL AND account_type != 'app'
UNION ALL
SELECT
  'discourse_user_id' AS kind,
  CONCAT(_account, '/', discourse_user_id) AS value,
  REGEXP_EXTRACT(TRIM(full_name), r'^(\S+)') AS first_name,
  REGEXP_EXTRACT(TRIM(full_name), r'\s(\S+)$') AS last_name
FROM staging.discourse__users
WHERE full_name IS NOT NULL
