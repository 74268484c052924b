/*
title: HubSpot deals, latest version of each.
latest_by: updated_at
columns:
  hubspot_deal_id: HubSpot's number of the deal.
  name: Name sales gave the deal.
  amount: Worth of the deal in units of the account's currency, which HubSpot does not send.
  stage: HubSpot's id of the stage the deal is in.
  hubspot_contact_id: The first contact the deal is associated with.
  created_at: When the record was made in HubSpot, UTC.
  updated_at: When HubSpot last changed the record, UTC.
  is_deleted: Whether HubSpot archived the deal, or a key sweep found it gone; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.id') AS hubspot_deal_id,
  NULLIF(JSON_VALUE(_payload, '$.properties.dealname'), '') AS name,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.properties.amount'), '') AS NUMERIC) AS amount,
  NULLIF(JSON_VALUE(_payload, '$.properties.dealstage'), '') AS stage,
  JSON_VALUE(_payload, '$.associations.contacts.results[0].id') AS hubspot_contact_id,
  SAFE_CAST(JSON_VALUE(_payload, '$.createdAt') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.updatedAt') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.archived') = 'true', FALSE) OR _deleted_at IS NOT NULL AS is_deleted
FROM raw.hubspot__deals
