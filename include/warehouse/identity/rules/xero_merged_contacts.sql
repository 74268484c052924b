/*
title: A merged Xero contact names the contact that took its place.
why: Somebody in accounting decided that they are one; MergedToContactID says into which.
inferred: false
*/
SELECT
  'xero_contact_id' AS left_kind,
  CONCAT(_account, '/', merged_into_contact_id) AS left_value,
  'xero_contact_id' AS right_kind,
  CONCAT(_account, '/', xero_contact_id) AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.xero__contacts
WHERE merged_into_contact_id IS NOT NULL
