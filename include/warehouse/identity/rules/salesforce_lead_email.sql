/*
title: A Salesforce lead carries its email address.
why: Whoever filled in the form typed their own; placeholders are blocked.
inferred: false
*/
SELECT
  'salesforce_lead_id' AS left_kind,
  CONCAT(_account, '/', salesforce_lead_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.salesforce__leads
