/*
title: A Stripe customer carries a phone number.
why: Weak evidence, families share numbers; the guards for phones apply.
inferred: false
*/
SELECT
  'stripe_customer_id' AS left_kind,
  CONCAT(_account, '/', stripe_customer_id) AS left_value,
  'phone' AS right_kind,
  phone AS right_value,
  COALESCE(created_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.stripe__customers
WHERE phone IS NOT NULL
