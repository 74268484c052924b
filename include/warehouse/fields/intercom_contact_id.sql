/*
title: "The Intercom contact that fields are written to: the one changed last."
why: "Only in the account that syncs write to: a plain id means nothing in another."
*/
SELECT
  ids.customer_id,
  r.intercom_contact_id AS value,
  'intercom' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  1 AS priority
FROM staging.intercom__contacts AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'intercom_contact_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.intercom_contact_id)
    AND NOT ids.is_inferred
WHERE r.intercom_contact_id IS NOT NULL AND NOT r.is_deleted AND r._account = 'main'
