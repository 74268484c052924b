/*
title: Money that accounting received for sales invoices, one row per payment.
why: What a payment system took is often booked too, so revenue is counted from marts.orders alone.
columns:
  payment_id: The payment's id, its source first (`xero/...`); `event_id` of identity.events.
  customer_id: The person; `customer_id` of marts.customers.
  invoice_id: The invoice it pays; `invoice_id` of marts.invoices.
  payment_date: Date of the payment.
  amount: Amount in units of the invoice's currency.
  currency: ISO 4217 code of the invoice.
  source: The accounting system.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
SELECT
  events.event_id AS payment_id,
  events.customer_id,
  CONCAT('xero/', payments.xero_invoice_id) AS invoice_id,
  payments.payment_date,
  payments.amount,
  payments.currency,
  'xero' AS source,
  events.is_inferred AS is_inferred_identity
FROM staging.xero__payments AS payments
INNER JOIN identity.events AS events ON events.event_id = CONCAT('xero/', payments.xero_payment_id)
WHERE payments.payment_type = 'ACCRECPAYMENT' AND NOT payments.is_deleted
