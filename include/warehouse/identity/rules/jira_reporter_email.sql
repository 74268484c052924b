/*
title: A Jira issue was reported by an account with an address.
why: The service desk answers there; customers of the desk are not among the users everywhere.
inferred: false
*/
SELECT
  'jira_account_id' AS left_kind,
  CONCAT(_account, '/', jira_account_id) AS left_value,
  'email' AS right_kind,
  reporter_email AS right_value,
  COALESCE(created_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.jira__issues
WHERE jira_account_id IS NOT NULL AND reporter_email IS NOT NULL AND reporter_type != 'app'
