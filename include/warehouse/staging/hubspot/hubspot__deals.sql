/*
title: HubSpot deals, latest version of each.
latest_by: updated_at
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.id') AS hubspot_deal_id,
  NULLIF(JSON_VALUE(_payload, '$.properties.dealname'), '') AS name,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.properties.amount'), '') AS NUMERIC) AS amount,
  NULLIF(JSON_VALUE(_payload, '$.properties.dealstage'), '') AS stage,
  JSON_VALUE(_payload, '$.associations.contacts.results[0].id') AS hubspot_contact_id,
  SAFE_CAST(JSON_VALUE(_payload, '$.createdAt') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.updatedAt') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.archived') = 'true', FALSE) AS is_deleted
FROM raw.hubspot__deals
