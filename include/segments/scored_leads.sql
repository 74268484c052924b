/*
title: Scored leads
why: They are a lead of sales and viewed pages of marketing in the 90 days before it was submitted; views have points.
owner: sales
key: customer_id
budget: 50 GB
columns:
  customer_id: The person; `customer_id` of marts.customers.
  lead_score: "Points of those views, 1 to 100: at most 5 views of a section count, and what is above 100 is cut off."
  page_view_count: Views of those pages, counted or not.
  lead_submitted_at: When the person's latest lead was made in the CRM, UTC.
# To send it, for instance:
# sync:
#   - {to: salesforce_contact, mode: upsert, fields: {Lead_Score__c: lead_score}}
*/
WITH
views AS (
  SELECT
    customer_id,
    ts,
    LOWER(REGEXP_EXTRACT(JSON_VALUE(feature_json, '$.path'), r'^/([^/?#]+)')) AS section
  FROM marts.activities
  WHERE activity = 'viewed_page'
),

-- Points a view, by the first part of the page's address. A page of any other section is not marketing's.
marketing_views AS (
  SELECT
    customer_id,
    ts,
    section,
    CASE section
      WHEN 'pricing' THEN 10
      WHEN 'demo' THEN 10
      WHEN 'contact' THEN 8
      WHEN 'customers' THEN 5
      WHEN 'features' THEN 4
      WHEN 'webinars' THEN 4
      WHEN 'blog' THEN 1
    END AS points
  FROM views
),

leads AS (
  SELECT
    customer_id,
    MAX(created_at) AS lead_submitted_at
  FROM marts.leads
  WHERE created_at <= @as_of
  GROUP BY customer_id
),

sections AS (
  SELECT
    leads.customer_id,
    leads.lead_submitted_at,
    marketing_views.section,
    COUNT(*) AS view_count,
    MAX(marketing_views.points) * LEAST(COUNT(*), 5) AS points
  FROM leads
  INNER JOIN marketing_views ON leads.customer_id = marketing_views.customer_id
  WHERE
    marketing_views.points IS NOT NULL
    AND marketing_views.ts < leads.lead_submitted_at
    AND marketing_views.ts >= TIMESTAMP_SUB(leads.lead_submitted_at, INTERVAL 90 DAY)
  GROUP BY leads.customer_id, leads.lead_submitted_at, marketing_views.section
)

SELECT
  customer_id,
  LEAST(SUM(points), 100) AS lead_score,
  SUM(view_count) AS page_view_count,
  lead_submitted_at
FROM sections
GROUP BY customer_id, lead_submitted_at
