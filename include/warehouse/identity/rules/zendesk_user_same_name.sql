/*
title: A Zendesk user without an address has the name of exactly one known person.
why: Tickets opened by phone or chat carry a name only; one that one person has is worth showing, never merging on.
inferred: true
*/
WITH
people AS (
  SELECT
    CONCAT(_account, '/', hubspot_contact_id) AS value,
    NORMALIZE_AND_CASEFOLD(CONCAT(TRIM(first_name), ' ', TRIM(last_name)), NFKC) AS name
  FROM staging.hubspot__contacts
  WHERE first_name IS NOT NULL AND last_name IS NOT NULL AND NOT is_deleted
)

SELECT
  'zendesk_user_id' AS left_kind,
  CONCAT(users._account, '/', users.zendesk_user_id) AS left_value,
  'hubspot_contact_id' AS right_kind,
  people.value AS right_value,
  COALESCE(users.updated_at, users._extracted_at) AS seen_at,
  users._seq,
  users._key
FROM staging.zendesk__users AS users
INNER JOIN people ON NORMALIZE_AND_CASEFOLD(TRIM(users.full_name), NFKC) = people.name
WHERE users.email IS NULL AND users.user_id IS NULL AND NOT users.is_deleted
