/*
title: A Jira account has an address.
why: Whoever owns the account signs in with it, and lets it be seen; apps are nobody.
inferred: false
*/
SELECT
  'jira_account_id' AS left_kind,
  CONCAT(_account, '/', jira_account_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  _extracted_at AS seen_at,
  _seq,
  _key
FROM staging.jira__users
WHERE email IS NOT NULL AND account_type != 'app'
