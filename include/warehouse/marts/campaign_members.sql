/*
title: People in campaigns of the CRM, one row per membership, and whether they responded.
columns:
  campaign_member_id: The membership's id, its source first (`salesforce/...`); `event_id` of identity.events.
  customer_id: The person; `customer_id` of marts.customers.
  salesforce_campaign_id: The campaign; `salesforce_campaign_id` of staging.salesforce__campaigns.
  joined_at: When the person was put into the campaign, UTC.
  responded_at: Day of the first response, from midnight UTC, and no earlier than `joined_at`; NULL for none.
  status: Sent, Responded or what else the campaign has.
  source: The CRM.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
SELECT
  events.event_id AS campaign_member_id,
  events.customer_id,
  members.salesforce_campaign_id,
  members.created_at AS joined_at,
  CASE
    WHEN NOT members.has_responded THEN NULL
    WHEN members.created_at > TIMESTAMP(members.first_responded_date) THEN members.created_at
    ELSE TIMESTAMP(members.first_responded_date)
  END AS responded_at,
  members.status,
  'salesforce' AS source,
  events.is_inferred AS is_inferred_identity
FROM staging.salesforce__campaign_members AS members
INNER JOIN identity.events AS events
  ON events.event_id = CONCAT(
    'salesforce', IF(members._account = 'main', '', CONCAT('__', members._account)),
    '/', members.salesforce_campaign_member_id
  )
WHERE NOT members.is_deleted
