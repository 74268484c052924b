/*
title: A Stripe customer carries the address receipts go to.
why: Whoever pays reads the receipts.
inferred: false
*/
SELECT
  'stripe_customer_id' AS left_kind,
  CONCAT(_account, '/', stripe_customer_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(created_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.stripe__customers
