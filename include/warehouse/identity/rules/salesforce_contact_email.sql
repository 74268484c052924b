/*
title: A Salesforce contact carries its email address.
why: Sales write to the person at it; one contact is one person to the people who keep it.
inferred: false
*/
SELECT
  'salesforce_contact_id' AS left_kind,
  CONCAT(_account, '/', salesforce_contact_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.salesforce__contacts
