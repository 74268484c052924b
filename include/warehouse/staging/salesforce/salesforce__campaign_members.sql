/*
title: Leads and contacts in Salesforce campaigns, and whether they responded.
latest_by: updated_at
columns:
  salesforce_campaign_member_id: Salesforce's id of the membership, 18 characters.
  salesforce_campaign_id: The campaign.
  salesforce_lead_id: The lead in it; kept when the lead is converted.
  salesforce_contact_id: The contact in it.
  status: Sent, Responded or what else the campaign has.
  has_responded: Whether the status counts as a response.
  first_responded_date: Day of the first response.
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
  JSON_VALUE(_payload, '$.Id') AS salesforce_campaign_member_id,
  NULLIF(JSON_VALUE(_payload, '$.CampaignId'), '') AS salesforce_campaign_id,
  NULLIF(JSON_VALUE(_payload, '$.LeadId'), '') AS salesforce_lead_id,
  NULLIF(JSON_VALUE(_payload, '$.ContactId'), '') AS salesforce_contact_id,
  NULLIF(JSON_VALUE(_payload, '$.Status'), '') AS status,
  COALESCE(JSON_VALUE(_payload, '$.HasResponded') = 'true', FALSE) AS has_responded,
  SAFE_CAST(SUBSTR(JSON_VALUE(_payload, '$.FirstRespondedDate'), 1, 10) AS DATE) AS first_responded_date,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.CreatedDate'), '+0000', 'Z') AS TIMESTAMP) AS created_at,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.SystemModstamp'), '+0000', 'Z') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.IsDeleted') = 'true', FALSE) OR _deleted_at IS NOT NULL AS is_deleted
FROM raw.salesforce__campaign_members
