/*
title: The website's user id.
*/
SELECT
  ids.customer_id,
  r.user_id AS value,
  r.source,
  r._key AS record_key,
  r.received_at AS seen_at,
  1 AS priority
FROM staging.segment__users AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'user_id'
    AND ids.value = CONCAT(@space, r.user_id)
    AND NOT ids.is_inferred
WHERE r.user_id IS NOT NULL AND NOT r.is_deleted
