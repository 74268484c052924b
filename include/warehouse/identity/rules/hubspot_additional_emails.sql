/*
title: A HubSpot contact lists further addresses of the same person.
why: HubSpot keeps the addresses of merged contacts in hs_additional_emails.
inferred: false
*/
SELECT
  'hubspot_contact_id' AS left_kind,
  CONCAT(_account, '/', hubspot_contact_id) AS left_value,
  'email' AS right_kind,
  TRIM(additional_email) AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.hubspot__contacts
CROSS JOIN UNNEST(SPLIT(additional_emails, ';')) AS additional_email
WHERE TRIM(additional_email) != ''
