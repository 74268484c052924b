/*
title: Salesforce tasks, such as calls and emails that sales made or will make; archived ones too.
latest_by: updated_at
columns:
  salesforce_task_id: Salesforce's id of the task, 18 characters.
  salesforce_lead_id: The lead it was about.
  salesforce_contact_id: The contact it was about.
  salesforce_account_id: The company it was about.
  subject: What it is called; people type here.
  task_type: Task, Email or Call.
  status: From the picklist, such as Completed.
  is_closed: Whether it is done.
  duration_seconds: Length of a call, where telephony wrote it.
  due_date: Day it is due.
  completed_at: When it was done, UTC.
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
  JSON_VALUE(_payload, '$.Id') AS salesforce_task_id,
  REGEXP_EXTRACT(JSON_VALUE(_payload, '$.WhoId'), r'^00Q.+$') AS salesforce_lead_id,
  REGEXP_EXTRACT(JSON_VALUE(_payload, '$.WhoId'), r'^003.+$') AS salesforce_contact_id,
  NULLIF(JSON_VALUE(_payload, '$.AccountId'), '') AS salesforce_account_id,
  NULLIF(JSON_VALUE(_payload, '$.Subject'), '') AS subject,
  NULLIF(JSON_VALUE(_payload, '$.TaskSubtype'), '') AS task_type,
  NULLIF(JSON_VALUE(_payload, '$.Status'), '') AS status,
  COALESCE(JSON_VALUE(_payload, '$.IsClosed') = 'true', FALSE) AS is_closed,
  SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.CallDurationInSeconds'), r'^\d+$') AS INT64) AS duration_seconds,
  SAFE_CAST(SUBSTR(JSON_VALUE(_payload, '$.ActivityDate'), 1, 10) AS DATE) AS due_date,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.CompletedDateTime'), '+0000', 'Z') AS TIMESTAMP) AS completed_at,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.CreatedDate'), '+0000', 'Z') AS TIMESTAMP) AS created_at,
  SAFE_CAST(REPLACE(JSON_VALUE(_payload, '$.SystemModstamp'), '+0000', 'Z') AS TIMESTAMP) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.IsDeleted') = 'true', FALSE) OR _deleted_at IS NOT NULL AS is_deleted
FROM raw.salesforce__tasks
