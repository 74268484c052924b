/*
title: The Mailchimp member of the address marketing is sent to.
*/
SELECT
  ids.customer_id,
  r.mailchimp_member_id AS value,
  'mailchimp' AS source,
  r._key AS record_key,
  r.updated_at AS seen_at,
  1 AS priority
FROM staging.mailchimp__members AS r
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'mailchimp_member_id'
    AND ids.value = CONCAT(@space, r._account, '/', r.mailchimp_list_id, '/', r.mailchimp_member_id)
    AND NOT ids.is_inferred
INNER JOIN identity.identifiers AS own
  ON
    own.kind = 'email'
    AND own.value = CONCAT(@space, LOWER(TRIM(r.email)))
    AND ids.customer_id = own.customer_id
    AND NOT own.is_inferred
WHERE r.mailchimp_member_id IS NOT NULL AND NOT r.is_deleted AND r.status = 'subscribed' AND r._account = 'main'
