/*
title: A Zendesk user without an address has the name of exactly one known person.
why: >-
  Tickets opened by phone or chat carry a name only; one that one person has is worth showing, never merging on.
  Names agree in any case, whatever stands between their words, and last name first too.
inferred: true
score: 0.9
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
    CONCAT(first_name, ' ', last_name) AS name
  FROM people
  UNION DISTINCT
  SELECT
    value,
    CONCAT(last_name, ' ', first_name) AS name
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
