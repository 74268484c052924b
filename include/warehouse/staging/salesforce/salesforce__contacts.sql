/*
title: Salesforce contacts, latest version of each; deleted and merged ones marked.
latest_by: updated_at
columns:
  salesforce_contact_id: Salesforce's id of the contact, 18 characters.
  salesforce_account_id: The company the contact belongs to.
  email: Address of the contact.
  first_name: First name as Salesforce holds it.
  last_name: Last name as Salesforce holds it.
  phone: Mobile number, or else the business number.
  job_title: What the person is called at work.
  lead_source: Where sales say the person came from.
  has_opted_out_of_email: Whether the person wants no email; NULL where the user who reads cannot see it.
  is_not_to_be_called: Whether the person wants no calls; NULL where the user who reads cannot see it.
  email_bounced_at: When an email to the address bounced, UTC.
  merged_into_contact_id: The contact this one was merged into.
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
  JSON_VALUE(_payload, '$.Id') AS salesforce_contact_id,
  NULLIF(JSON_VALUE(_payload, '$.AccountId'), '') AS salesforce_account_id,
  NULLIF(JSON_VALUE(_payload, '$.Email'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.FirstName'), '') AS first_name,
  NULLIF(JSON_VALUE(_payload, '$.LastName'), '') AS last_name,
  COALESCE(
    NULLIF(JSON_VALUE(_payload, '$.MobilePhone'), ''), NULLIF(JSON_VALUE(_payload, '$.Phone'), '')
  ) AS phone,
  NULLIF(JSON_VALUE(_payload, '$.Title'), '') AS job_title,
  NULLIF(JSON_VALUE(_payload, '$.LeadSource'), '') AS lead_source,
  JSON_VALUE(_payload, '$.HasOptedOutOfEmail') = 'true' AS has_opted_out_of_email,
  JSON_VALUE(_payload, '$.DoNotCall') = 'true' AS is_not_to_be_called,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.EmailBouncedDate'), '+0000', 'Z') AS TIMESTAMP) AS email_bounced_at,
  NULLIF(JSON_VALUE(_payload, '$.MasterRecordId'), '') AS merged_into_contact_id,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.CreatedDate'), '+0000', 'Z') AS TIMESTAMP) AS created_at,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.SystemModstamp'), '+0000', 'Z') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.IsDeleted') = 'true', FALSE) OR _deleted_at IS NOT NULL AS is_deleted
FROM raw.salesforce__contacts
