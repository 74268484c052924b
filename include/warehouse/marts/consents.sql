/*
title: What each address agreed to, per channel; the latest explicit word at the vendor. Silence is not agreement.
why: A guess about who somebody is may say no for them, never yes. A refusal outlives the record it stands in.
columns:
  customer_id: The person; `customer_id` of marts.customers.
  channel: "What may be done: email_marketing, or phone for calls."
  address: The address or number the word is about, in lower case; NULL where the record has none.
  status: granted or denied.
  source: The system the word was given in.
  decided_at: When the person decided, UTC; for a refusal the latest it can be.
*/
WITH
crm_people AS (
  SELECT
    'salesforce_contact_id' AS kind,
    CONCAT(_account, '/', salesforce_contact_id) AS value,
    LOWER(TRIM(email)) AS email,
    TRIM(phone) AS phone,
    has_opted_out_of_email,
    is_not_to_be_called,
    updated_at
  FROM staging.salesforce__contacts
  UNION ALL
  SELECT
    'salesforce_lead_id' AS kind,
    CONCAT(_account, '/', salesforce_lead_id) AS value,
    LOWER(TRIM(email)) AS email,
    TRIM(phone) AS phone,
    has_opted_out_of_email,
    is_not_to_be_called,
    updated_at
  FROM staging.salesforce__leads
)

SELECT
  ids.customer_id,
  'email_marketing' AS channel,
  LOWER(TRIM(members.email)) AS address,
  CASE WHEN members.status = 'subscribed' THEN 'granted' ELSE 'denied' END AS status,
  'mailchimp' AS source,
  -- Not the record's own change time, which a tag of ours moves too. Mailchimp dates no refusal: theirs is the
  -- latest it can be, so that a yes from elsewhere must truly be newer.
  IF(members.status = 'subscribed', COALESCE(members.opted_at, members.updated_at), members.updated_at) AS decided_at
FROM staging.mailchimp__members AS members
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'mailchimp_member_id'
    AND ids.value = CONCAT(@space, members._account, '/', members.mailchimp_list_id, '/', members.mailchimp_member_id)
WHERE
  members.status IN ('unsubscribed', 'cleaned')
  -- Whoever is taken out of the audience takes their yes along, not their no.
  OR (members.status = 'subscribed' AND NOT members.is_deleted AND NOT ids.is_inferred)
UNION ALL
SELECT
  customer_id,
  'email_marketing' AS channel,
  address,
  'denied' AS status,
  source,
  refused_at AS decided_at
FROM marts.email_refusals
WHERE taken_back_at IS NULL
UNION ALL
SELECT
  ids.customer_id,
  'email_marketing' AS channel,
  LOWER(TRIM(contacts.email)) AS address,
  'denied' AS status,
  'intercom' AS source,
  contacts.updated_at AS decided_at
FROM staging.intercom__contacts AS contacts
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'intercom_contact_id'
    AND ids.value = CONCAT(@space, contacts._account, '/', contacts.intercom_contact_id)
WHERE contacts.is_unsubscribed OR contacts.has_hard_bounced OR contacts.has_reported_spam
UNION ALL
SELECT
  ids.customer_id,
  'email_marketing' AS channel,
  people.email AS address,
  'denied' AS status,
  'salesforce' AS source,
  people.updated_at AS decided_at
FROM crm_people AS people
INNER JOIN identity.identifiers AS ids ON people.kind = ids.kind AND ids.value = CONCAT(@space, people.value)
WHERE people.has_opted_out_of_email
UNION ALL
SELECT
  ids.customer_id,
  'phone' AS channel,
  people.phone AS address,
  'denied' AS status,
  'salesforce' AS source,
  people.updated_at AS decided_at
FROM crm_people AS people
INNER JOIN identity.identifiers AS ids ON people.kind = ids.kind AND ids.value = CONCAT(@space, people.value)
WHERE people.is_not_to_be_called
UNION ALL
SELECT
  ids.customer_id,
  'email_marketing' AS channel,
  LOWER(TRIM(customers.email)) AS address,
  IF(customers.email_consent = 'subscribed', 'granted', 'denied') AS status,
  'shopify' AS source,
  customers.email_consent_at AS decided_at
FROM staging.shopify__customers AS customers
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'shopify_customer_id'
    AND ids.value = CONCAT(@space, customers._account, '/', customers.shopify_customer_id)
WHERE
  customers.email_consent = 'unsubscribed'
  OR (
    customers.email_consent = 'subscribed'
    AND customers.email_consent_at IS NOT NULL
    AND NOT customers.is_deleted
    AND NOT ids.is_inferred
  )
