/*
title: Who liked, commented or was looked at on LinkedIn or X has the name of exactly one known person.
why: >-
  A profile shows no address of its own, only a name; one that one person has is worth showing, never merging on.
  Names agree in any case, whatever stands between their words, and last name first too. Strangers from everywhere
  like posts, so it is less certain than a name that wrote to support.
inferred: true
score: 0.6
*/
WITH
people AS (
  SELECT
    'hubspot_contact_id' AS kind,
    CONCAT(_account, '/', hubspot_contact_id) AS value,
    TRIM(REGEXP_REPLACE(NORMALIZE_AND_CASEFOLD(first_name, NFKC), r'[^\pL\pM]+', ' ')) AS first_name,
    TRIM(REGEXP_REPLACE(NORMALIZE_AND_CASEFOLD(last_name, NFKC), r'[^\pL\pM]+', ' ')) AS last_name
  FROM staging.hubspot__contacts
  WHERE first_name IS NOT NULL AND last_name IS NOT NULL AND NOT is_deleted
  UNION ALL
  SELECT
    'salesforce_contact_id' AS kind,
    CONCAT(_account, '/', salesforce_contact_id) AS value,
    TRIM(REGEXP_REPLACE(NORMALIZE_AND_CASEFOLD(first_name, NFKC), r'[^\pL\pM]+', ' ')) AS first_name,
    TRIM(REGEXP_REPLACE(NORMALIZE_AND_CASEFOLD(last_name, NFKC), r'[^\pL\pM]+', ' ')) AS last_name
  FROM staging.salesforce__contacts
  WHERE first_name IS NOT NULL AND last_name IS NOT NULL AND NOT is_deleted
),

spelled AS (
  SELECT
    kind,
    value,
    CONCAT(first_name, ' ', last_name) AS name
  FROM people
  UNION DISTINCT
  SELECT
    kind,
    value,
    CONCAT(last_name, ' ', first_name) AS name
  FROM people
)

SELECT
  IF(profiles.linkedin_url IS NOT NULL, 'linkedin_url', 'twitter_handle') AS left_kind,
  COALESCE(profiles.linkedin_url, profiles.twitter_handle) AS left_value,
  spelled.kind AS right_kind,
  spelled.value AS right_value,
  COALESCE(profiles.happened_at, profiles._extracted_at) AS seen_at,
  profiles._seq,
  profiles._key
FROM staging.phantombuster__rows AS profiles
INNER JOIN spelled
  ON TRIM(REGEXP_REPLACE(NORMALIZE_AND_CASEFOLD(profiles.full_name, NFKC), r'[^\pL\pM]+', ' ')) = spelled.name
WHERE COALESCE(profiles.linkedin_url, profiles.twitter_handle) IS NOT NULL AND spelled.name LIKE '_% _%'
