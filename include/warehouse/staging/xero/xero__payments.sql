/*
title: Xero payments of invoices and credit notes; deleted ones marked.
latest_by: updated_at
columns:
  xero_payment_id: Xero's id of the payment.
  xero_invoice_id: The invoice it pays; NULL where it pays a credit note.
  xero_contact_id: Whose invoice it pays.
  payment_type: ACCRECPAYMENT is money received for a sales invoice, ACCPAYPAYMENT money paid for a bill.
  status: AUTHORISED or DELETED.
  amount: Amount in units of the invoice's currency.
  currency: ISO 4217 code of the invoice.
  payment_date: Date of the payment.
  is_reconciled: Whether it was matched with the bank statement.
  updated_at: When Xero last changed the record, UTC, to the second (`UpdatedDateUTC`).
  is_deleted: Whether it was deleted; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.PaymentID') AS xero_payment_id,
  NULLIF(JSON_VALUE(_payload, '$.Invoice.InvoiceID'), '') AS xero_invoice_id,
  NULLIF(JSON_VALUE(_payload, '$.Invoice.Contact.ContactID'), '') AS xero_contact_id,
  NULLIF(JSON_VALUE(_payload, '$.PaymentType'), '') AS payment_type,
  NULLIF(JSON_VALUE(_payload, '$.Status'), '') AS status,
  SAFE_CAST(NULLIF(JSON_VALUE(_payload, '$.Amount'), '') AS NUMERIC) AS amount,
  UPPER(NULLIF(JSON_VALUE(_payload, '$.Invoice.CurrencyCode'), '')) AS currency,
  DATE(TIMESTAMP_SECONDS(
    SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.Date'), r'^/Date\((\d{1,11})\d{3}\D') AS INT64)
  )) AS payment_date,
  COALESCE(JSON_VALUE(_payload, '$.IsReconciled') = 'true', FALSE) AS is_reconciled,
  -- Written as /Date(1518685950940+0000)/; more digits than a time has would fail the whole statement.
  TIMESTAMP_SECONDS(
    SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.UpdatedDateUTC'), r'^/Date\((\d{1,11})\d{3}\D') AS INT64)
  ) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.Status') = 'DELETED', FALSE) AS is_deleted
FROM raw.xero__payments
