/*
title: Jira issues, latest state of each; one that is opened again keeps its id.
latest_by: updated_at
columns:
  jira_issue_id: Jira's number of the issue.
  issue_key: What people call it, such as SUP-12; it changes when the issue moves to another project.
  project_key: Key of the project.
  issue_type: Type of the issue, as the project names it.
  subject: First line of the issue (`summary`).
  jira_account_id: Who reported it; `jira_account_id` of staging.jira__users.
  reporter_email: Address of who reported it; NULL where its owner hides it.
  reporter_type: atlassian (a colleague), customer (of the service desk) or app.
  assignee_account_id: Who works on it.
  status: Status, as the project names it.
  status_category: new, indeterminate (in progress) or done; the same for all projects.
  priority: Priority, as the site names it.
  created_at: When the issue was made, UTC.
  resolved_at: When it was resolved, UTC; NULL again once it is re-opened.
  updated_at: When Jira last changed the issue, UTC.
  is_deleted: Whether a key sweep found it gone; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.id') AS jira_issue_id,
  NULLIF(JSON_VALUE(_payload, '$.key'), '') AS issue_key,
  NULLIF(JSON_VALUE(_payload, '$.fields.project.key'), '') AS project_key,
  NULLIF(JSON_VALUE(_payload, '$.fields.issuetype.name'), '') AS issue_type,
  NULLIF(JSON_VALUE(_payload, '$.fields.summary'), '') AS subject,
  NULLIF(JSON_VALUE(_payload, '$.fields.reporter.accountId'), '') AS jira_account_id,
  NULLIF(JSON_VALUE(_payload, '$.fields.reporter.emailAddress'), '') AS reporter_email,
  NULLIF(JSON_VALUE(_payload, '$.fields.reporter.accountType'), '') AS reporter_type,
  NULLIF(JSON_VALUE(_payload, '$.fields.assignee.accountId'), '') AS assignee_account_id,
  NULLIF(JSON_VALUE(_payload, '$.fields.status.name'), '') AS status,
  NULLIF(JSON_VALUE(_payload, '$.fields.status.statusCategory.key'), '') AS status_category,
  NULLIF(JSON_VALUE(_payload, '$.fields.priority.name'), '') AS priority,
  -- Zones are written +0100; a time needs a colon in them.
  SAFE_CAST(
    REGEXP_REPLACE(JSON_VALUE(_payload, '$.fields.created'), r'([+-]\d\d)(\d\d)$', r'\1:\2') AS TIMESTAMP
  ) AS created_at,
  SAFE_CAST(
    REGEXP_REPLACE(JSON_VALUE(_payload, '$.fields.resolutiondate'), r'([+-]\d\d)(\d\d)$', r'\1:\2') AS TIMESTAMP
  ) AS resolved_at,
  SAFE_CAST(
    REGEXP_REPLACE(JSON_VALUE(_payload, '$.fields.updated'), r'([+-]\d\d)(\d\d)$', r'\1:\2') AS TIMESTAMP
  ) AS updated_at,
  _deleted_at IS NOT NULL AS is_deleted
FROM raw.jira__issues
