/*
title: A Mailchimp member is an address in an audience.
why: The member id is a hash of the address.
inferred: false
*/
SELECT
  'mailchimp_member_id' AS left_kind,
  CONCAT(_account, '/', mailchimp_list_id, '/', mailchimp_member_id) AS left_value,
  'email' AS right_kind,
  email AS right_value,
  COALESCE(updated_at, _extracted_at) AS seen_at,
  _seq,
  _key
FROM staging.mailchimp__members
