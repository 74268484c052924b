/*
title: Jira accounts, colleagues, customers of the service desk, and apps.
columns:
  jira_account_id: Atlassian's id of the account, the same on all its products.
  email: Address of the account; NULL where its owner hides it.
  full_name: Name as Jira shows it.
  account_type: atlassian (a colleague), customer (of the service desk) or app.
  is_active: Whether the account may sign in.
  is_deleted: Always FALSE; deleted accounts stay listed, without name and address.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.accountId') AS jira_account_id,
  NULLIF(JSON_VALUE(_payload, '$.emailAddress'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.displayName'), '') AS full_name,
  NULLIF(JSON_VALUE(_payload, '$.accountType'), '') AS account_type,
  COALESCE(JSON_VALUE(_payload, '$.active') = 'true', FALSE) AS is_active,
  FALSE AS is_deleted
FROM raw.jira__users
