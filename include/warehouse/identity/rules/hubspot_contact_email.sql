/*
title: A HubSpot contact carries its email address.
why: The CRM keys contacts by address; one contact is one person to the people who keep it.
inferred: false
*/
SELECT
  'hubspot_contact_id' AS left_kind,
  CONCAT(_account, '/', hubspot_contact_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.hubspot__contacts
