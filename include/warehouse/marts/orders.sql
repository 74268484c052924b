/*
title: Orders of every shop and payment system, one row each; an order counts when it was paid and not given back.
columns:
  order_id: The order's id, its source first (`stripe/...`, `shopify/...`); `event_id` of identity.events.
  customer_id: The person; `customer_id` of marts.customers.
  ordered_at: When the order was placed, UTC.
  amount: Worth of the order, in units of the currency (euros, not cents), less what of it was given back.
  currency: ISO 4217 code in capitals.
  status: paid, refunded, canceled, pending or failed.
  source: The shop or payment system.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
SELECT
  CONCAT('stripe/', charges.stripe_charge_id) AS order_id,
  events.customer_id,
  charges.created_at AS ordered_at,
  -- A product, not a quotient: INT64 / INT64 is floating point.
  CAST(
    charges.amount_minor * CASE
      WHEN charges.currency IN (
        'BIF', 'CLP', 'DJF', 'GNF', 'JPY', 'KMF', 'KRW', 'MGA', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF', 'XPF'
      ) THEN NUMERIC '1'
      WHEN charges.currency IN ('BHD', 'JOD', 'KWD', 'OMR', 'TND') THEN NUMERIC '0.001'
      ELSE NUMERIC '0.01'
    END AS NUMERIC
  ) AS amount,
  charges.currency,
  CASE
    WHEN charges.is_refunded THEN 'refunded'
    WHEN charges.status = 'succeeded' THEN 'paid'
    ELSE charges.status
  END AS status,
  'stripe' AS source,
  events.is_inferred AS is_inferred_identity
FROM staging.stripe__charges AS charges
INNER JOIN identity.events AS events ON events.event_id = CONCAT('stripe/', charges.stripe_charge_id)
WHERE NOT charges.is_deleted
UNION ALL
SELECT
  CONCAT('shopify/', orders.shopify_order_id) AS order_id,
  events.customer_id,
  orders.ordered_at,
  -- What was given back of an order that is no more is all of it.
  IF(
    orders.financial_status = 'partially_refunded', orders.amount - COALESCE(orders.amount_refunded, 0), orders.amount
  ) AS amount,
  orders.currency,
  CASE
    WHEN orders.financial_status = 'refunded' THEN 'refunded'
    WHEN orders.canceled_at IS NOT NULL OR orders.financial_status IN ('voided', 'expired') THEN 'canceled'
    WHEN orders.financial_status IN ('paid', 'partially_refunded') THEN 'paid'
    ELSE 'pending'
  END AS status,
  'shopify' AS source,
  events.is_inferred AS is_inferred_identity
FROM staging.shopify__orders AS orders
INNER JOIN identity.events AS events ON events.event_id = CONCAT('shopify/', orders.shopify_order_id)
WHERE NOT orders.is_deleted AND NOT orders.is_test
