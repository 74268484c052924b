/*
title: What sales did with people, one row per call, email or meeting; tasks that are still open are left out.
columns:
  sales_touch_id: The task's or event's id, its source first (`salesforce/...`); `event_id` of identity.events.
  customer_id: The person; `customer_id` of marts.customers.
  kind: call, email or meeting.
  happened_at: When it was done, UTC; of a meeting when it begins, which may be to come.
  duration_seconds: How long it took; of a call only where telephony wrote it.
  subject: What it is called; people type here.
  source: The CRM.
  is_inferred_identity: Whether the person is known through inferred evidence only.
*/
WITH
touches AS (
  SELECT
    _account,
    salesforce_task_id AS touch_id,
    LOWER(task_type) AS kind,
    COALESCE(completed_at, created_at) AS happened_at,
    duration_seconds,
    subject
  FROM staging.salesforce__tasks
  WHERE is_closed AND task_type IN ('Call', 'Email') AND NOT is_deleted
  UNION ALL
  SELECT
    _account,
    salesforce_event_id AS touch_id,
    'meeting' AS kind,
    starts_at AS happened_at,
    -- Engines differ in how they count seconds that are not whole.
    DIV(TIMESTAMP_DIFF(ends_at, starts_at, MICROSECOND), 1000000) AS duration_seconds,
    subject
  FROM staging.salesforce__events
  WHERE NOT is_deleted
)

SELECT
  events.event_id AS sales_touch_id,
  events.customer_id,
  touches.kind,
  touches.happened_at,
  touches.duration_seconds,
  touches.subject,
  'salesforce' AS source,
  events.is_inferred AS is_inferred_identity
FROM touches
INNER JOIN identity.events AS events
  ON events.event_id = CONCAT(
    'salesforce', IF(touches._account = 'main', '', CONCAT('__', touches._account)), '/', touches.touch_id
  )
