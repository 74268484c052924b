/*
title: Suppressed for marketing by mail
why: An address of theirs opted out, bounced for good or complained, so no marketing may be mailed to any of them.
owner: privacy
key: customer_id
budget: 10 GB
columns:
  customer_id: The person; `customer_id` of marts.customers.
  refused_address_count: Addresses of the person that refuse mail.
  source_count: Systems that say so.
  refused_at: When the latest refusal was noted, UTC; for those without a date the latest it can be.
# Every sync with `consent: email_marketing` leaves these people out by itself. To tell a tool of them that asks for no
# consent, and take nobody off again there (the tool's own word may be newer than ours), for instance:
# sync:
#   - {to: hubspot_contact, field: is_mail_suppressed, mode: add_only, removal: keep}
*/
SELECT
  customer_id,
  COUNT(DISTINCT address) AS refused_address_count,
  COUNT(DISTINCT source) AS source_count,
  MAX(decided_at) AS refused_at
FROM marts.consents
WHERE channel = 'email_marketing' AND status = 'denied'
GROUP BY customer_id
