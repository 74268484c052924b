/*
title: What each address agreed to, per channel; the latest explicit word at the vendor. Silence is not agreement.
why: A guess about who somebody is may say no for them, never yes.
columns:
  customer_id: The person; `customer_id` of marts.customers.
  channel: What may be sent, such as email_marketing.
  address: The address the word is about, in lower case.
  status: granted or denied.
  source: The system the word was given in.
  decided_at: When the person decided, UTC; for a refusal the latest it can be.
*/
SELECT
  ids.customer_id,
  'email_marketing' AS channel,
  LOWER(TRIM(members.email)) AS address,
  CASE WHEN members.status = 'subscribed' THEN 'granted' ELSE 'denied' END AS status,
  'mailchimp' AS source,
  -- Not the record's own change time, which a tag of ours moves too. Mailchimp dates no refusal: theirs is the
  -- latest it can be, so that a yes from elsewhere must truly be newer.
  IF(members.status = 'subscribed', COALESCE(members.opted_at, members.updated_at), members.updated_at) AS decided_at
FROM staging.mailchimp__members AS members
INNER JOIN identity.identifiers AS ids
  ON
    ids.kind = 'mailchimp_member_id'
    AND ids.value = CONCAT(@space, members._account, '/', members.mailchimp_list_id, '/', members.mailchimp_member_id)
WHERE members.status IN ('unsubscribed', 'cleaned') OR (members.status = 'subscribed' AND NOT ids.is_inferred)
