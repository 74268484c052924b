/*
title: A merged Salesforce lead names the lead that took its place.
why: Somebody in sales decided that they are one; MasterRecordId of the deleted record says into which.
inferred: false
*/
SELECT
  'salesforce_lead_id' AS left_kind,
  CONCAT(_account, '/', merged_into_lead_id) AS left_value,
  'salesforce_lead_id' AS right_kind,
  CONCAT(_account, '/', salesforce_lead_id) AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.salesforce__leads
WHERE merged_into_lead_id IS NOT NULL
