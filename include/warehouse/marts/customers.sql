/*
title: One row per person, with golden fields, consent and what they did so far.
cluster_by: customer_id
columns:
  customer_id: The person's id, from identity.customers; an id that is gone leads on through identity.redirects.
  first_name: First name of the person; the winning value of fields/first_name.sql.
  last_name: Last name of the person; the winning value of fields/last_name.sql.
  full_name: First and last name with a space between; NULL where both are unknown.
  email: Best address of the person; the winning value of fields/email.sql.
  emails: Every address that certainly belongs to the person, sorted.
  phone: Best phone number of the person; the winning value of fields/phone.sql.
  user_id: The website's user id of the person; the winning value of fields/user_id.sql.
  hubspot_contact_id: HubSpot contact that syncs write to; the winning value of fields/hubspot_contact_id.sql.
  salesforce_contact_id: Salesforce contact that syncs write to; the winning value of fields/salesforce_contact_id.sql.
  mailchimp_member_id: Mailchimp member that syncs write to; the winning value of fields/mailchimp_member_id.sql.
  mailchimp_list_id: Mailchimp audience of that member; the winning value of fields/mailchimp_list_id.sql.
  zendesk_user_id: Zendesk user that syncs write to; the winning value of fields/zendesk_user_id.sql.
  stripe_customer_id: Stripe customer that syncs write to; the winning value of fields/stripe_customer_id.sql.
  shopify_customer_id: Shopify customer that syncs write to; the winning value of fields/shopify_customer_id.sql.
  intercom_contact_id: Intercom contact that syncs write to; the winning value of fields/intercom_contact_id.sql.
  xero_contact_id: Xero contact that invoices go to; the winning value of fields/xero_contact_id.sql.
  email_marketing_address: Address marketing is sent to; the winning value of fields/email_marketing_address.sql.
  has_email_marketing_consent: Whether every word in marts.consents allows marketing by email; FALSE for none.
  first_seen_at: When the first of the person's identifiers was first seen, UTC.
  last_seen_at: When the person last did something certain to be theirs, UTC; `first_seen_at` for who did nothing.
  order_count: Paid orders, over all currencies.
  last_order_at: When the latest of those orders was placed, UTC; NULL for none.
  ticket_count: Support tickets.
  last_ticket_at: When the latest of those tickets was opened, UTC; NULL for none.
  journey_stage: "awareness, consideration, acquisition, service or loyalty: the furthest that orders and tickets show."
  is_identified: Whether more than a device is known of the person.
*/
WITH
golden AS (
  SELECT
    customer_id,
    MAX(IF(field = 'first_name', value, NULL)) AS first_name,
    MAX(IF(field = 'last_name', value, NULL)) AS last_name,
    MAX(IF(field = 'email', value, NULL)) AS email,
    MAX(IF(field = 'phone', value, NULL)) AS phone,
    MAX(IF(field = 'user_id', value, NULL)) AS user_id,
    MAX(IF(field = 'hubspot_contact_id', value, NULL)) AS hubspot_contact_id,
    MAX(IF(field = 'salesforce_contact_id', value, NULL)) AS salesforce_contact_id,
    MAX(IF(field = 'mailchimp_member_id', value, NULL)) AS mailchimp_member_id,
    MAX(IF(field = 'mailchimp_list_id', value, NULL)) AS mailchimp_list_id,
    MAX(IF(field = 'zendesk_user_id', value, NULL)) AS zendesk_user_id,
    MAX(IF(field = 'stripe_customer_id', value, NULL)) AS stripe_customer_id,
    MAX(IF(field = 'shopify_customer_id', value, NULL)) AS shopify_customer_id,
    MAX(IF(field = 'intercom_contact_id', value, NULL)) AS intercom_contact_id,
    MAX(IF(field = 'xero_contact_id', value, NULL)) AS xero_contact_id,
    MAX(IF(field = 'email_marketing_address', value, NULL)) AS email_marketing_address
  FROM marts.golden_fields
  GROUP BY customer_id
),

addresses AS (
  SELECT
    customer_id,
    ARRAY_AGG(email ORDER BY email) AS emails
  FROM (
    SELECT DISTINCT
      customer_id,
      SUBSTR(value, LENGTH(@space) + 1) AS email
    FROM identity.identifiers
    WHERE kind = 'email' AND NOT is_inferred
  ) AS own
  GROUP BY customer_id
),

consent AS (
  SELECT
    customer_id,
    LOGICAL_AND(status = 'granted') AS is_granted
  FROM marts.consents
  WHERE channel = 'email_marketing'
  GROUP BY customer_id
),

seen AS (
  SELECT
    customer_id,
    MIN(first_seen_at) AS first_seen_at,
    LOGICAL_OR(kind != 'anonymous_id') AS is_identified
  FROM identity.identifiers
  GROUP BY customer_id
),

-- What they did themselves: a record's own change time also moves when Stitchline writes to it.
did AS (
  SELECT
    customer_id,
    MAX(ts) AS last_at
  FROM marts.activities
  WHERE NOT is_inferred_identity AND NOT is_by_others
  GROUP BY customer_id
),

orders AS (
  SELECT
    customer_id,
    COUNT(*) AS order_count,
    MAX(ordered_at) AS last_order_at
  FROM marts.orders
  WHERE status = 'paid' AND NOT is_inferred_identity
  GROUP BY customer_id
),

tickets AS (
  SELECT
    customer_id,
    COUNT(*) AS ticket_count,
    MAX(created_at) AS last_ticket_at
  FROM marts.tickets
  WHERE NOT is_inferred_identity
  GROUP BY customer_id
)

SELECT
  people.customer_id,
  golden.first_name,
  golden.last_name,
  NULLIF(TRIM(CONCAT(COALESCE(golden.first_name, ''), ' ', COALESCE(golden.last_name, ''))), '') AS full_name,
  golden.email,
  COALESCE(addresses.emails, ARRAY<STRING>[]) AS emails,
  golden.phone,
  golden.user_id,
  golden.hubspot_contact_id,
  golden.salesforce_contact_id,
  golden.mailchimp_member_id,
  golden.mailchimp_list_id,
  golden.zendesk_user_id,
  golden.stripe_customer_id,
  golden.shopify_customer_id,
  golden.intercom_contact_id,
  golden.xero_contact_id,
  golden.email_marketing_address,
  COALESCE(consent.is_granted, FALSE) AS has_email_marketing_consent,
  seen.first_seen_at,
  COALESCE(did.last_at, seen.first_seen_at) AS last_seen_at,
  COALESCE(orders.order_count, 0) AS order_count,
  orders.last_order_at,
  COALESCE(tickets.ticket_count, 0) AS ticket_count,
  tickets.last_ticket_at,
  CASE
    WHEN orders.order_count > 1 THEN 'loyalty'
    WHEN tickets.ticket_count > 0 THEN 'service'
    WHEN orders.order_count = 1 THEN 'acquisition'
    WHEN seen.is_identified THEN 'consideration'
    ELSE 'awareness'
  END AS journey_stage,
  COALESCE(seen.is_identified, FALSE) AS is_identified
FROM identity.customers AS people
LEFT JOIN golden ON people.customer_id = golden.customer_id
LEFT JOIN addresses ON people.customer_id = addresses.customer_id
LEFT JOIN consent ON people.customer_id = consent.customer_id
LEFT JOIN seen ON people.customer_id = seen.customer_id
LEFT JOIN did ON people.customer_id = did.customer_id
LEFT JOIN orders ON people.customer_id = orders.customer_id
LEFT JOIN tickets ON people.customer_id = tickets.customer_id
