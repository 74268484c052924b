/*
title: A HubSpot contact carries its phone number.
why: Weak evidence, families share numbers; the guards for phones apply.
inferred: false
*/
SELECT
  'hubspot_contact_id' AS left_kind,
  CONCAT(_account, '/', hubspot_contact_id) AS left_value,
  'phone' AS right_kind,
  phone AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.hubspot__contacts
WHERE phone IS NOT NULL
