/*
title: A HubSpot contact names the contacts merged into it.
why: A person in the CRM decided that they are one; hs_merged_object_ids keeps the former ids.
inferred: false
*/
SELECT
  'hubspot_contact_id' AS left_kind,
  CONCAT(_account, '/', hubspot_contact_id) AS left_value,
  'hubspot_contact_id' AS right_kind,
  CONCAT(_account, '/', TRIM(merged_contact_id)) AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.hubspot__contacts
CROSS JOIN UNNEST(SPLIT(merged_contact_ids, ';')) AS merged_contact_id
WHERE TRIM(merged_contact_id) != ''
