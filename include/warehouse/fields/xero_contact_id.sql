/*
title: "The Xero contact that invoices go to: the one changed last."
why: "Only in the account that syncs write to: a plain id means nothing in another."
*/
SELECT
  ids.customer_id,
  r.xero_contact_id AS value,
  'xero' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  1 AS priority
FROM staging.xero__contacts AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'xero_contact_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.xero_contact_id)
    AND NOT ids.is_inferred
WHERE r.xero_contact_id IS NOT NULL AND NOT r.is_deleted AND r._account = 'main'
