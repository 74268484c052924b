/*
title: Leads that sales took up, one row each, and when they became contacts.
columns:
  lead_id: The lead's id, its source first (`salesforce/...`); `event_id` of identity.events.
  customer_id: The person; `customer_id` of marts.customers.
  created_at: When the record was made, UTC.
  converted_at: Day the lead became a contact, from midnight UTC, and no earlier than `created_at`; NULL for others.
  status: Where sales are with the lead, from the picklist.
  lead_source: Where sales say the person came from.
  source: The CRM.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
SELECT
  events.event_id AS lead_id,
  events.customer_id,
  leads.created_at,
  IF(
    leads.created_at > TIMESTAMP(leads.converted_date), leads.created_at, TIMESTAMP(leads.converted_date)
  ) AS converted_at,
  leads.status,
  leads.lead_source,
  'salesforce' AS source,
  events.is_inferred AS is_inferred_identity
FROM staging.salesforce__leads AS leads
INNER JOIN identity.events AS events
  ON events.event_id = CONCAT(
    'salesforce', IF(leads._account = 'main', '', CONCAT('__', leads._account)), '/', leads.salesforce_lead_id
  )
WHERE NOT leads.is_deleted
