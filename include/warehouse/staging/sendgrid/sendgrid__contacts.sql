/*
title: SendGrid marketing contacts.
latest_by: updated_at
columns:
  sendgrid_contact_id: SendGrid's id of the contact.
  email: Main address of the contact, in lower case.
  additional_emails: Further addresses of the contact, joined by commas.
  first_name: First name as SendGrid holds it.
  last_name: Last name as SendGrid holds it.
  phone: Phone number of the contact.
  user_id: The website's user id, where it was written into `external_id`.
  anonymous_id: The website's visitor id, where it was written into the field of that name.
  created_at: When the contact was made in SendGrid, UTC.
  updated_at: When SendGrid last changed the contact, UTC; our own syncs change it too.
  is_deleted: Whether a key sweep found it gone; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.contact_id') AS sendgrid_contact_id,
  NULLIF(JSON_VALUE(_payload, '$.email'), '') AS email,
  -- One column of a CSV: plain text, or a list in brackets.
  NULLIF(REGEXP_REPLACE(JSON_VALUE(_payload, '$.alternate_emails'), r'[][" ]', ''), '') AS additional_emails,
  NULLIF(JSON_VALUE(_payload, '$.first_name'), '') AS first_name,
  NULLIF(JSON_VALUE(_payload, '$.last_name'), '') AS last_name,
  COALESCE(
    NULLIF(JSON_VALUE(_payload, '$.phone_number'), ''), NULLIF(JSON_VALUE(_payload, '$.phone_number_id'), '')
  ) AS phone,
  NULLIF(JSON_VALUE(_payload, '$.external_id'), '') AS user_id,
  NULLIF(JSON_VALUE(_payload, '$.anonymous_id'), '') AS anonymous_id,
  SAFE_CAST(JSON_VALUE(_payload, '$.created_at') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.updated_at') AS TIMESTAMP) AS updated_at,
  _deleted_at IS NOT NULL AS is_deleted
FROM raw.sendgrid__contacts
