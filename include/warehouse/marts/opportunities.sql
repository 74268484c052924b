/*
title: Deals that sales work on with a person, one row each; only those with a primary contact.
why: An amount is a forecast, and once won it comes again as an order or an invoice. It is no revenue here.
columns:
  opportunity_id: The deal's id, its source first (`salesforce/...`); `event_id` of identity.events.
  customer_id: The person; `customer_id` of marts.customers.
  created_at: When the record was made, UTC.
  won_at: Day the deal was won, from midnight UTC, and no earlier than `created_at`; NULL for others.
  close_date: Day it was closed, or is expected to be.
  stage: Stage, from the picklist.
  opportunity_type: New or existing business, from the picklist.
  amount: Worth in units of the currency.
  currency: ISO 4217 code; NULL where the CRM has one currency, which it does not say.
  is_closed: Whether it is decided.
  is_won: Whether it was won.
  source: The CRM.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
SELECT
  events.event_id AS opportunity_id,
  events.customer_id,
  deals.created_at,
  CASE
    WHEN NOT deals.is_won THEN NULL
    WHEN deals.created_at > TIMESTAMP(deals.close_date) THEN deals.created_at
    ELSE TIMESTAMP(deals.close_date)
  END AS won_at,
  deals.close_date,
  deals.stage,
  deals.opportunity_type,
  deals.amount,
  deals.currency,
  deals.is_closed,
  deals.is_won,
  'salesforce' AS source,
  events.is_inferred AS is_inferred_identity
FROM staging.salesforce__opportunities AS deals
INNER JOIN identity.events AS events
  ON events.event_id = CONCAT(
    'salesforce', IF(deals._account = 'main', '', CONCAT('__', deals._account)), '/', deals.salesforce_opportunity_id
  )
WHERE NOT deals.is_deleted
