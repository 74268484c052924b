/*
title: Salesforce campaigns.
latest_by: updated_at
columns:
  salesforce_campaign_id: Salesforce's id of the campaign, 18 characters.
  name: Name of the campaign.
  campaign_type: Webinar, Email or what else the picklist has.
  status: Planned, In Progress, Completed or Aborted.
  is_active: Whether the campaign is switched on.
  start_date: First day of the campaign.
  end_date: Last day of the campaign.
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
  JSON_VALUE(_payload, '$.Id') AS salesforce_campaign_id,
  NULLIF(JSON_VALUE(_payload, '$.Name'), '') AS name,
  NULLIF(JSON_VALUE(_payload, '$.Type'), '') AS campaign_type,
  NULLIF(JSON_VALUE(_payload, '$.Status'), '') AS status,
  COALESCE(JSON_VALUE(_payload, '$.IsActive') = 'true', FALSE) AS is_active,
  SAFE_CAST(SUBSTR(JSON_VALUE(_payload, '$.StartDate'), 1, 10) AS DATE) AS start_date,
  SAFE_CAST(SUBSTR(JSON_VALUE(_payload, '$.EndDate'), 1, 10) AS DATE) AS end_date,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.CreatedDate'), '+0000', 'Z') AS TIMESTAMP) AS created_at,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.SystemModstamp'), '+0000', 'Z') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.IsDeleted') = 'true', FALSE) OR _deleted_at IS NOT NULL AS is_deleted
FROM raw.salesforce__campaigns
