/*
title: Salesforce events, the meetings in the calendar; archived ones too.
latest_by: updated_at
columns:
  salesforce_event_id: Salesforce's id of the event, 18 characters.
  salesforce_lead_id: The lead it was with.
  salesforce_contact_id: The contact it was with.
  salesforce_account_id: The company it was with.
  subject: What it is called; people type here.
  event_type: Event, or what else the subtype has.
  starts_at: When it begins, UTC.
  ends_at: When it ends, UTC.
  is_all_day: Whether it takes the whole day.
  created_at: When the record was made in Salesforce, UTC.
  updated_at: When Salesforce or a user last changed the record, UTC (`SystemModstamp`); our own syncs change it too.
  is_deleted: Whether it was deleted in Salesforce; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.Id') AS salesforce_event_id,
  REGEXP_EXTRACT(JSON_VALUE(_payload, '$.WhoId'), r'^00Q.+$') AS salesforce_lead_id,
  REGEXP_EXTRACT(JSON_VALUE(_payload, '$.WhoId'), r'^003.+$') AS salesforce_contact_id,
  NULLIF(JSON_VALUE(_payload, '$.AccountId'), '') AS salesforce_account_id,
  NULLIF(JSON_VALUE(_payload, '$.Subject'), '') AS subject,
  NULLIF(JSON_VALUE(_payload, '$.EventSubtype'), '') AS event_type,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.StartDateTime'), '+0000', 'Z') AS TIMESTAMP) AS starts_at,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.EndDateTime'), '+0000', 'Z') AS TIMESTAMP) AS ends_at,
  COALESCE(JSON_VALUE(_payload, '$.IsAllDayEvent') = 'true', FALSE) AS is_all_day,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.CreatedDate'), '+0000', 'Z') AS TIMESTAMP) AS created_at,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.SystemModstamp'), '+0000', 'Z') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.IsDeleted') = 'true', FALSE) OR _deleted_at IS NOT NULL AS is_deleted
FROM raw.salesforce__events
