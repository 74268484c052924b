/*
title: HubSpot contacts, latest version of each; former ids and extra addresses of merged contacts kept.
latest_by: updated_at
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.id') AS hubspot_contact_id,
  NULLIF(JSON_VALUE(_payload, '$.properties.email'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.properties.firstname'), '') AS first_name,
  NULLIF(JSON_VALUE(_payload, '$.properties.lastname'), '') AS last_name,
  NULLIF(JSON_VALUE(_payload, '$.properties.phone'), '') AS phone,
  NULLIF(JSON_VALUE(_payload, '$.properties.lifecyclestage'), '') AS lifecycle_stage,
  NULLIF(JSON_VALUE(_payload, '$.properties.hs_additional_emails'), '') AS additional_emails,
  NULLIF(JSON_VALUE(_payload, '$.properties.hs_merged_object_ids'), '') AS merged_contact_ids,
  SAFE_CAST(JSON_VALUE(_payload, '$.createdAt') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.updatedAt') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.archived') = 'true', FALSE) AS is_deleted
FROM raw.hubspot__contacts
