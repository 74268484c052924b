/*
title: Xero contacts, customers and suppliers; archived and merged ones marked.
latest_by: updated_at
columns:
  xero_contact_id: Xero's id of the contact.
  status: ACTIVE, ARCHIVED or GDPRREQUEST.
  email: Address invoices go to.
  full_name: Name of the person or the organisation; unique in Xero.
  first_name: First name of the organisation's main person.
  last_name: Last name of the organisation's main person.
  phone: Mobile number, else the direct one, else the main one.
  contact_number: Id in another system, which whoever connected that system wrote; Xero does not say which system.
  account_number: Account number that users of Xero give the contact.
  is_customer: Whether there is a sales invoice.
  is_supplier: Whether there is a bill.
  merged_into_contact_id: The contact this one was merged into.
  updated_at: When Xero last changed the record, UTC, to the second (`UpdatedDateUTC`).
  is_deleted: Whether it was archived in Xero, by hand, by a merge or for a privacy request; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.ContactID') AS xero_contact_id,
  NULLIF(JSON_VALUE(_payload, '$.ContactStatus'), '') AS status,
  NULLIF(JSON_VALUE(_payload, '$.EmailAddress'), '') AS email,
  NULLIF(JSON_VALUE(_payload, '$.Name'), '') AS full_name,
  NULLIF(JSON_VALUE(_payload, '$.FirstName'), '') AS first_name,
  NULLIF(JSON_VALUE(_payload, '$.LastName'), '') AS last_name,
  -- Xero lists four phones in the order of their types: DDI, DEFAULT, FAX, MOBILE.
  COALESCE(
    IF(
      JSON_VALUE(_payload, '$.Phones[3].PhoneType') = 'MOBILE',
      NULLIF(
        CONCAT(
          COALESCE(CONCAT('+', NULLIF(LTRIM(JSON_VALUE(_payload, '$.Phones[3].PhoneCountryCode'), '+0'), '')), ''),
          COALESCE(JSON_VALUE(_payload, '$.Phones[3].PhoneAreaCode'), ''),
          COALESCE(JSON_VALUE(_payload, '$.Phones[3].PhoneNumber'), '')
        ),
        ''
      ),
      NULL
    ),
    IF(
      JSON_VALUE(_payload, '$.Phones[0].PhoneType') = 'DDI',
      NULLIF(
        CONCAT(
          COALESCE(CONCAT('+', NULLIF(LTRIM(JSON_VALUE(_payload, '$.Phones[0].PhoneCountryCode'), '+0'), '')), ''),
          COALESCE(JSON_VALUE(_payload, '$.Phones[0].PhoneAreaCode'), ''),
          COALESCE(JSON_VALUE(_payload, '$.Phones[0].PhoneNumber'), '')
        ),
        ''
      ),
      NULL
    ),
    IF(
      JSON_VALUE(_payload, '$.Phones[1].PhoneType') = 'DEFAULT',
      NULLIF(
        CONCAT(
          COALESCE(CONCAT('+', NULLIF(LTRIM(JSON_VALUE(_payload, '$.Phones[1].PhoneCountryCode'), '+0'), '')), ''),
          COALESCE(JSON_VALUE(_payload, '$.Phones[1].PhoneAreaCode'), ''),
          COALESCE(JSON_VALUE(_payload, '$.Phones[1].PhoneNumber'), '')
        ),
        ''
      ),
      NULL
    )
  ) AS phone,
  NULLIF(JSON_VALUE(_payload, '$.ContactNumber'), '') AS contact_number,
  NULLIF(JSON_VALUE(_payload, '$.AccountNumber'), '') AS account_number,
  COALESCE(JSON_VALUE(_payload, '$.IsCustomer') = 'true', FALSE) AS is_customer,
  COALESCE(JSON_VALUE(_payload, '$.IsSupplier') = 'true', FALSE) AS is_supplier,
  NULLIF(JSON_VALUE(_payload, '$.MergedToContactID'), '') AS merged_into_contact_id,
  -- Written as /Date(1518685950940+0000)/; more digits than a time has would fail the whole statement.
  TIMESTAMP_SECONDS(
    SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(_payload, '$.UpdatedDateUTC'), r'^/Date\((\d{1,11})\d{3}\D') AS INT64)
  ) AS updated_at,
  COALESCE(JSON_VALUE(_payload, '$.ContactStatus') != 'ACTIVE', FALSE) AS is_deleted
FROM raw.xero__contacts
