/*
title: A converted Salesforce lead names the contact it became.
why: Conversion turns the lead into this contact; both stay, and the lead keeps its own address.
inferred: false
*/
SELECT
  'salesforce_lead_id' AS left_kind,
  CONCAT(_account, '/', salesforce_lead_id) AS left_value,
  'salesforce_contact_id' AS right_kind,
  CONCAT(_account, '/', salesforce_contact_id) AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.salesforce__leads
WHERE salesforce_contact_id IS NOT NULL
