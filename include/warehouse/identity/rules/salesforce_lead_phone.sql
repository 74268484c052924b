/*
title: A Salesforce lead carries a phone number.
why: Weak evidence, companies and families share numbers; the guards for phones apply.
inferred: false
*/
SELECT
  'salesforce_lead_id' AS left_kind,
  CONCAT(_account, '/', salesforce_lead_id) AS left_value,
  'phone' AS right_kind,
  phone AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.salesforce__leads
WHERE phone IS NOT NULL
