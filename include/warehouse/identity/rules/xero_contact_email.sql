/*
title: A Xero contact carries the address invoices go to.
why: Whoever pays reads the invoices; an inbox of a whole company is found by the guards.
inferred: false
*/
SELECT
  'xero_contact_id' AS left_kind,
  CONCAT(_account, '/', xero_contact_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.xero__contacts
