/*
title: A Zendesk user without an address has the initial and last name of exactly one known person.
why: As with the whole name, and less certain; it is shown, and never merges.
inferred: true
score: 0.6
*/
WITH
people AS (
  SELECT
    CONCAT(_account, '/', hubspot_contact_id) AS value,
    TRIM(REGEXP_REPLACE(NORMALIZE_AND_CASEFOLD(first_name, NFKC), r'[^\pL\pM]+', ' ')) AS first_name,
    TRIM(REGEXP_REPLACE(NORMALIZE_AND_CASEFOLD(last_name, NFKC), r'[^\pL\pM]+', ' ')) AS last_name
  FROM staging.hubspot__contacts
  WHERE first_name IS NOT NULL AND last_name IS NOT NULL AND NOT is_deleted
),

spelled AS (
  SELECT
    value,
    CONCAT(SUBSTR(first_name, 1, 1), ' ', last_name) AS name
  FROM people
)

SELECT
  'zendesk_user_id' AS left_kind,
  CONCAT(users._account, '/', users.zendesk_user_id) AS left_value,
  'hubspot_contact_id' AS right_kind,
  spelled.value AS right_value,
  COALESCE(users.updated_at, users._extracted_at) AS seen_at,
  users._seq,
  users._key
FROM staging.zendesk__users AS users
INNER JOIN spelled
  ON TRIM(REGEXP_REPLACE(NORMALIZE_AND_CASEFOLD(users.full_name, NFKC), r'[^\pL\pM]+', ' ')) = spelled.name
WHERE users.email IS NULL AND users.user_id IS NULL AND NOT users.is_deleted AND spelled.name LIKE '_% _%'
