/*
title: Sales invoices that accounting issued, one row each; drafts, voided ones and bills to pay are left out.
why: What a shop or payment system sold is often invoiced too, so revenue is counted from marts.orders alone.
columns:
  invoice_id: The invoice's id, its source first (`xero/...`); `event_id` of identity.events.
  customer_id: The person; `customer_id` of marts.customers.
  invoice_number: Number on the invoice.
  issue_date: Date of the invoice.
  due_date: Date it is due.
  fully_paid_date: Date it was fully paid; NULL for none.
  total: Amount with tax, in units of the currency.
  amount_due: What is still to be paid.
  currency: ISO 4217 code.
  status: AUTHORISED or PAID.
  source: The accounting system.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
SELECT
  events.event_id AS invoice_id,
  events.customer_id,
  invoices.invoice_number,
  invoices.issue_date,
  invoices.due_date,
  invoices.fully_paid_date,
  invoices.total,
  invoices.amount_due,
  invoices.currency,
  invoices.status,
  'xero' AS source,
  events.is_inferred AS is_inferred_identity
FROM staging.xero__invoices AS invoices
INNER JOIN identity.events AS events ON events.event_id = CONCAT('xero/', invoices.xero_invoice_id)
WHERE invoices.invoice_type = 'ACCREC' AND invoices.status IN ('AUTHORISED', 'PAID') AND NOT invoices.is_deleted
