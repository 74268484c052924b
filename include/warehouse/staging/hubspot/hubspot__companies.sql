/*
title: HubSpot companies, latest version of each.
latest_by: updated_at
columns:
  hubspot_company_id: HubSpot's number of the company.
  name: Name of the company.
  domain: Its website's domain.
  created_at: When the record was made in HubSpot, UTC.
  updated_at: When HubSpot last changed the record, UTC.
  is_deleted: Whether HubSpot archived the company, or a key sweep found it gone; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.id') AS hubspot_company_id,
  NULLIF(JSON_VALUE(_payload, '$.properties.name'), '') AS name,
  NULLIF(JSON_VALUE(_payload, '$.properties.domain'), '') AS domain,
  SAFE_CAST(JSON_VALUE(_payload, '$.createdAt') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.updatedAt') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.archived') = 'true', FALSE) OR _deleted_at IS NOT NULL AS is_deleted
FROM raw.hubspot__companies
