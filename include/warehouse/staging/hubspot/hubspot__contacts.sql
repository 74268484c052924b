/*
title: HubSpot contacts, latest version of each; former ids and extra addresses of merged contacts kept.
latest_by: updated_at
columns:
  hubspot_contact_id: HubSpot's number of the contact.
  email: Primary address of the contact.
  first_name: First name as HubSpot holds it.
  last_name: Last name as HubSpot holds it.
  phone: Phone number as typed in HubSpot.
  lifecycle_stage: HubSpot's lifecycle stage, such as lead or customer.
  additional_emails: Further addresses of the contact, joined by semicolons; merged contacts leave theirs here.
  merged_contact_ids: Numbers of contacts that were merged into this one, joined by semicolons.
  created_at: When the record was made in HubSpot, UTC.
  updated_at: When HubSpot last changed the record, UTC; our own syncs change it too.
  is_deleted: Whether HubSpot archived the contact, or a key sweep found it gone; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
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
  COALESCE(JSON_VALUE(_payload, '$.archived') = 'true', FALSE) OR _deleted_at IS NOT NULL AS is_deleted
FROM raw.hubspot__contacts
