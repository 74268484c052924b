/*
title: Salesforce leads, latest version of each, with the contact a converted one became.
latest_by: updated_at
columns:
  salesforce_lead_id: Salesforce's id of the lead, 18 characters.
  email: Address of the lead.
  first_name: First name as Salesforce holds it.
  last_name: Last name as Salesforce holds it.
  phone: Mobile number, or else the business number.
  job_title: What the person is called at work.
  lead_source: Where sales say the person came from.
  has_opted_out_of_email: Whether the person wants no email; NULL where the user who reads cannot see it.
  is_not_to_be_called: Whether the person wants no calls; NULL where the user who reads cannot see it.
  email_bounced_at: When an email to the address bounced, UTC.
  company_name: Company the person works for, as typed.
  status: Where sales are with the lead, from the picklist.
  is_converted: Whether the lead became a contact.
  converted_date: Day the lead became a contact.
  salesforce_contact_id: The contact the lead became.
  salesforce_account_id: The account the lead was converted into.
  salesforce_opportunity_id: The opportunity the conversion opened.
  merged_into_lead_id: The lead this one was merged into.
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
  JSON_VALUE(_payload, '$.Id') AS salesforce_lead_id,
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
  NULLIF(JSON_VALUE(_payload, '$.Company'), '') AS company_name,
  NULLIF(JSON_VALUE(_payload, '$.Status'), '') AS status,
  COALESCE(JSON_VALUE(_payload, '$.IsConverted') = 'true', FALSE) AS is_converted,
  SAFE_CAST(SUBSTR(JSON_VALUE(_payload, '$.ConvertedDate'), 1, 10) AS DATE) AS converted_date,
  NULLIF(JSON_VALUE(_payload, '$.ConvertedContactId'), '') AS salesforce_contact_id,
  NULLIF(JSON_VALUE(_payload, '$.ConvertedAccountId'), '') AS salesforce_account_id,
  NULLIF(JSON_VALUE(_payload, '$.ConvertedOpportunityId'), '') AS salesforce_opportunity_id,
  NULLIF(JSON_VALUE(_payload, '$.MasterRecordId'), '') AS merged_into_lead_id,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.CreatedDate'), '+0000', 'Z') AS TIMESTAMP) AS created_at,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.SystemModstamp'), '+0000', 'Z') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.IsDeleted') = 'true', FALSE) OR _deleted_at IS NOT NULL AS is_deleted
FROM raw.salesforce__leads
