/*
title: Zendesk organizations.
latest_by: updated_at
columns:
  zendesk_organization_id: Zendesk's number of the organization.
  name: Name of the organization.
  created_at: When the record was made in Zendesk, UTC.
  updated_at: When Zendesk last changed the record, UTC.
  is_deleted: Whether a key sweep found it gone; such records stay, marked.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  _deleted_at,
  JSON_VALUE(_payload, '$.id') AS zendesk_organization_id,
  NULLIF(JSON_VALUE(_payload, '$.name'), '') AS name,
  SAFE_CAST(JSON_VALUE(_payload, '$.created_at') AS TIMESTAMP) AS created_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.updated_at') AS TIMESTAMP) AS updated_at,
  _deleted_at IS NOT NULL AS is_deleted
FROM raw.zendesk__organizations
