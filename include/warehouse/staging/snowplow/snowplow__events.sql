/*
title: What Snowplow's trackers saw, one row per event id.
why: Pages, actions and page pings in one table; a mobile tracker has no cookie, its session's user id stands for it.
latest_by: loaded_at
columns:
  event_id: Snowplow's id of the event.
  app_id: The site or app that was tracked, as its owner named it.
  platform: Kind of tracker; web, mob, srv and so on.
  anonymous_id: The tracker's own cookie on the site, or the device's id a mobile tracker keeps; one per device and
    browser.
  network_user_id: The collector's cookie, the same on every site of the company.
  user_id: The website's own id of the signed-in user.
  event: What happened in snake_case; page_view, page_ping, a structured event's action, or the schema's name.
  event_text: Action of a structured event as the website sent it.
  category: Category of a structured event.
  label: Label of a structured event.
  name: Title of the page.
  url: Full address of the page, with its parameters.
  path: Path of the address.
  referrer: Address of the page the visitor came from.
  traffic_source: Where a campaign's link stood (`mkt_source`).
  medium: Kind of link of a campaign (`mkt_medium`).
  campaign: Name of the campaign (`mkt_campaign`).
  term: Keyword of a campaign (`mkt_term`).
  content: Variant of an advertisement (`mkt_content`).
  click_id: The advertising network's id of the click, such as a gclid.
  click_network: The advertising network that gave the click's id.
  ts: When it happened, UTC, with the device's clock error taken out (`derived_tstamp`).
  received_at: When the collector received it, UTC.
  loaded_at: When Snowplow's loader wrote the row, UTC; says which version of an event is the latest.
  is_deleted: Always FALSE; events are not deleted.
*/
SELECT
  _account,
  _key,
  _seq,
  _extracted_at,
  JSON_VALUE(_payload, '$.event_id') AS event_id,
  NULLIF(JSON_VALUE(_payload, '$.app_id'), '') AS app_id,
  NULLIF(JSON_VALUE(_payload, '$.platform'), '') AS platform,
  COALESCE(
    NULLIF(JSON_VALUE(_payload, '$.domain_userid'), ''),
    NULLIF(JSON_VALUE(_payload, '$.contexts_com_snowplowanalytics_snowplow_client_session_1[0].user_id'), '')
  ) AS anonymous_id,
  NULLIF(JSON_VALUE(_payload, '$.network_userid'), '') AS network_user_id,
  NULLIF(JSON_VALUE(_payload, '$.user_id'), '') AS user_id,
  NULLIF(
    TRIM(
      REGEXP_REPLACE(
        LOWER(
          REGEXP_REPLACE(
            CASE JSON_VALUE(_payload, '$.event')
              WHEN 'struct' THEN JSON_VALUE(_payload, '$.se_action')
              WHEN 'unstruct' THEN JSON_VALUE(_payload, '$.event_name')
              ELSE JSON_VALUE(_payload, '$.event')
            END,
            r'([a-z0-9])([A-Z])', r'\1_\2'
          )
        ),
        r'[^a-z0-9]+', '_'
      ), '_'
    ), ''
  ) AS event,
  NULLIF(JSON_VALUE(_payload, '$.se_action'), '') AS event_text,
  NULLIF(JSON_VALUE(_payload, '$.se_category'), '') AS category,
  NULLIF(JSON_VALUE(_payload, '$.se_label'), '') AS label,
  NULLIF(JSON_VALUE(_payload, '$.page_title'), '') AS name,
  NULLIF(JSON_VALUE(_payload, '$.page_url'), '') AS url,
  NULLIF(JSON_VALUE(_payload, '$.page_urlpath'), '') AS path,
  NULLIF(JSON_VALUE(_payload, '$.page_referrer'), '') AS referrer,
  NULLIF(JSON_VALUE(_payload, '$.mkt_source'), '') AS traffic_source,
  NULLIF(JSON_VALUE(_payload, '$.mkt_medium'), '') AS medium,
  NULLIF(JSON_VALUE(_payload, '$.mkt_campaign'), '') AS campaign,
  NULLIF(JSON_VALUE(_payload, '$.mkt_term'), '') AS term,
  NULLIF(JSON_VALUE(_payload, '$.mkt_content'), '') AS content,
  NULLIF(JSON_VALUE(_payload, '$.mkt_clickid'), '') AS click_id,
  NULLIF(JSON_VALUE(_payload, '$.mkt_network'), '') AS click_network,
  COALESCE(
    SAFE_CAST(JSON_VALUE(_payload, '$.derived_tstamp') AS TIMESTAMP),
    SAFE_CAST(JSON_VALUE(_payload, '$.collector_tstamp') AS TIMESTAMP)
  ) AS ts,
  SAFE_CAST(JSON_VALUE(_payload, '$.collector_tstamp') AS TIMESTAMP) AS received_at,
  SAFE_CAST(JSON_VALUE(_payload, '$.load_tstamp') AS TIMESTAMP) AS loaded_at,
  FALSE AS is_deleted
FROM raw.snowplow__events
