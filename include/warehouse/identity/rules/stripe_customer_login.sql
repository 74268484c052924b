/*
title: A Stripe customer names the website's user id in its metadata.
why: The checkout writes it for the user who is signed in.
inferred: false
*/
SELECT
  'stripe_customer_id' AS left_kind,
  CONCAT(_account, '/', stripe_customer_id) AS left_value,
  'user_id' AS right_kind,
  user_id AS right_value,
  COALESCE(created_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.stripe__customers
WHERE user_id IS NOT NULL
