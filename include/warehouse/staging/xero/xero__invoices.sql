/*
title: Xero sales invoices and bills; voided and deleted ones marked.
latest_by: updated_at
columns:
  xero_invoice_id: Xero's id of the invoice.
  xero_contact_id: Who is invoiced, or who sent the bill.
  invoice_number: Number on the invoice.
  reference: Reference on a sales invoice; people type here.
  invoice_type: ACCREC is a sales invoice, ACCPAY a bill to pay.
  status: DRAFT, SUBMITTED, AUTHORISED, PAID, VOIDED or DELETED.
  total: Amount with tax, in units of the currency.
  total_tax: Tax in it.
  amount_due: What is still to be paid.
  amount_paid: What has been paid.
  currency: ISO 4217 code.
  issue_date: Date of the invoice.
  due_date: Date it is due.
  fully_paid_date: Date it was fully paid.
  updated_at: When Xero last changed the record, UTC, to the second (`UpdatedDateUTC`).
  is_deleted: Whether it was voided or deleted; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.InvoiceID') AS xero_invoice_id,
  NULLIF(JSON_VALUE(_payload, '$.Contact.ContactID'), '') AS xero_contact_id,
  NULLIF(JSON_VALUE(_payload, '$.InvoiceNumber'), '') AS invoice_number,
  NULLIF(JSON_VALUE(_payload, '$.Reference'), '') AS reference,
  NULLIF(JSON_VALUE(_payload, '$.Type'), '') AS invoice_type,
  NULLIF(JSON_VALUE(_payload, '$.Status'), '') AS status,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.Total'), '') AS NUMERIC) AS total,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.TotalTax'), '') AS NUMERIC) AS total_tax,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.AmountDue'), '') AS NUMERIC) AS amount_due,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.AmountPaid'), '') AS NUMERIC) AS amount_paid,
  UPPER(NULLIF(JSON_VALUE(_payload, '$.CurrencyCode'), '')) AS currency,
  SAFE_CAST(SUBSTR(JSON_VALUE(_payload, '$.DateString'), 1, 10) AS DATE) AS issue_date,
  SAFE_CAST(SUBSTR(JSON_VALUE(_payload, '$.DueDateString'), 1, 10) AS DATE) AS due_date,
  DATE(TIMESTAMP_SECONDS(
    SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.FullyPaidOnDate'), r'^/Date\((\d{1,11})\d{3}\D') AS INT64)
  )) AS fully_paid_date,
  -- Written as /Date(1518685950940+0000)/; more digits than a time has would fail the whole statement.
  TIMESTAMP_SECONDS(
    SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.UpdatedDateUTC'), r'^/Date\((\d{1,11})\d{3}\D') AS INT64)
  ) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.Status') IN ('VOIDED', 'DELETED'), FALSE) AS is_deleted
FROM raw.xero__invoices
