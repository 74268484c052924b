/*
title: Salesforce opportunities with their stage and amount.
latest_by: updated_at
columns:
  salesforce_opportunity_id: Salesforce's id of the opportunity, 18 characters.
  salesforce_account_id: The company it is about.
  salesforce_contact_id: The primary contact, where the user who reads can see it.
  salesforce_campaign_id: The campaign it is put down to.
  name: Name sales gave it.
  stage: Stage, from the picklist.
  opportunity_type: New or existing business, from the picklist.
  amount: Worth in units of the currency.
  currency: ISO 4217 code; NULL where the organization has one currency, which Salesforce does not send.
  close_date: Day it was closed, or is expected to be.
  is_closed: Whether it is decided.
  is_won: Whether it was won.
  created_at: When the record was made in Salesforce, UTC.
  updated_at: When Salesforce or a user last changed the record, UTC (`SystemModstamp`); our own syncs change it too.
  is_deleted: Whether it was deleted in Salesforce; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.Id') AS salesforce_opportunity_id,
  NULLIF(JSON_VALUE(_payload, '$.AccountId'), '') AS salesforce_account_id,
  NULLIF(JSON_VALUE(_payload, '$.ContactId'), '') AS salesforce_contact_id,
  NULLIF(JSON_VALUE(_payload, '$.CampaignId'), '') AS salesforce_campaign_id,
  NULLIF(JSON_VALUE(_payload, '$.Name'), '') AS name,
  NULLIF(JSON_VALUE(_payload, '$.StageName'), '') AS stage,
  NULLIF(JSON_VALUE(_payload, '$.Type'), '') AS opportunity_type,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.Amount'), '') AS NUMERIC) AS amount,
  UPPER(NULLIF(JSON_VALUE(_payload, '$.CurrencyIsoCode'), '')) AS currency,
  SAFE_CAST(SUBSTR(JSON_VALUE(_payload, '$.CloseDate'), 1, 10) AS DATE) AS close_date,
  COALESCE(JSON_VALUE(_payload, '$.IsClosed') = 'true', FALSE) AS is_closed,
  COALESCE(JSON_VALUE(_payload, '$.IsWon') = 'true', FALSE) AS is_won,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.CreatedDate'), '+0000', 'Z') AS TIMESTAMP) AS created_at,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.SystemModstamp'), '+0000', 'Z') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.IsDeleted') = 'true', FALSE) OR _deleted_at IS NOT NULL AS is_deleted
FROM raw.salesforce__opportunities
