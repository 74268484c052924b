/*
title: Shopify customers, latest version of each.
latest_by: updated_at
columns:
  shopify_customer_id: Shopify's number of the customer, the last part of its global id.
  email: Address of the customer; NULL for people who only left a phone number.
  first_name: First name as Shopify holds it.
  last_name: Last name as Shopify holds it.
  phone: Phone number of the customer.
  user_id: The website's user id, where Multipass sign-in wrote it.
  email_consent: subscribed, not_subscribed, unsubscribed, pending or invalid.
  email_consent_at: When that was last said, UTC.
  has_verified_email: Whether the customer showed that the address is theirs.
  has_account: Whether the customer can sign in to the shop.
  order_count: Orders so far, as Shopify counts.
  amount_spent: Money spent so far, as Shopify counts.
  currency: Currency of that, ISO 4217 in capitals.
  created_at: When the customer was made in Shopify, UTC.
  updated_at: When Shopify last changed the customer, UTC; our own syncs change it too.
  is_deleted: Whether a key sweep found it gone, deleted or merged into another; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  REGEXP_EXTRACT(JSON_VALUE(_payload, '$.id'), r'(\d+)$') AS shopify_customer_id,
  NULLIF(JSON_VALUE(_payload, '$.defaultEmailAddress.emailAddress'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.firstName'), '') AS first_name,
  NULLIF(JSON_VALUE(_payload, '$.lastName'), '') AS last_name,
  NULLIF(JSON_VALUE(_payload, '$.defaultPhoneNumber.phoneNumber'), '') AS phone,
  NULLIF(JSON_VALUE(_payload, '$.multipassIdentifier'), '') AS user_id,
  LOWER(NULLIF(JSON_VALUE(_payload, '$.defaultEmailAddress.marketingState'), '')) AS email_consent,
  SAFE_CAST(JSON_VALUE(_payload, '$.defaultEmailAddress.marketingUpdatedAt') AS TIMESTAMP) AS email_consent_at,
  COALESCE(JSON_VALUE(_payload, '$.verifiedEmail') = 'true', FALSE) AS has_verified_email,
  COALESCE(JSON_VALUE(_payload, '$.state') = 'ENABLED', FALSE) AS has_account,
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.numberOfOrders'), r'^\d+$') AS INT64) AS order_count,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.amountSpent.amount'), '') AS NUMERIC) AS amount_spent,
  UPPER(NULLIF(JSON_VALUE(_payload, '$.amountSpent.currencyCode'), '')) AS currency,
  SAFE_CAST(JSON_VALUE(_payload, '$.createdAt') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.updatedAt') AS TIMESTAMP) AS updated_at,
  _deleted_at IS NOT NULL AS is_deleted
FROM raw.shopify__customers
