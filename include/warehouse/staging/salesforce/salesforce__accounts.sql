/*
title: Salesforce accounts, the companies sales deal with; deleted and merged ones marked.
latest_by: updated_at
columns:
  salesforce_account_id: Salesforce's id of the account, 18 characters.
  name: Name of the company.
  account_type: Prospect, Customer or what else the picklist has.
  industry: Industry, from the picklist.
  website: The company's website.
  employee_count: How many people work there, as sales entered it.
  merged_into_account_id: The account this one was merged into.
  created_at: When the record was made in Salesforce, UTC.
  updated_at: When Salesforce or a user last changed the record, UTC (`SystemModstamp`); our own syncs change it too.
  is_deleted: Whether it was deleted in Salesforce, or merged into another; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.Id') AS salesforce_account_id,
  NULLIF(JSON_VALUE(_payload, '$.Name'), '') AS name,
  NULLIF(JSON_VALUE(_payload, '$.Type'), '') AS account_type,
  NULLIF(JSON_VALUE(_payload, '$.Industry'), '') AS industry,
  NULLIF(JSON_VALUE(_payload, '$.Website'), '') AS website,
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.NumberOfEmployees'), r'^\d+$') AS INT64) AS employee_count,
  NULLIF(JSON_VALUE(_payload, '$.MasterRecordId'), '') AS merged_into_account_id,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.CreatedDate'), '+0000', 'Z') AS TIMESTAMP) AS created_at,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.SystemModstamp'), '+0000', 'Z') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.IsDeleted') = 'true', FALSE) OR _deleted_at IS NOT NULL AS is_deleted
FROM raw.salesforce__accounts
