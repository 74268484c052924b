"""Snowplow's warehouse table as its loader writes it, in one DuckDB file: every event in `events`.

Like the real table it repeats a few rows (same `event_id`, later `load_tstamp`), has a cookie of the site and one of
the collector, takes a page's address apart, and knows nobody's traits: a tracker is only told the user id. A visitor
who wants no cookies of the collector has the nil UUID there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from include.simulate.people import Population
from include.simulate.segment import write_tables

if TYPE_CHECKING:
    import duckdb

_NIL = "00000000-0000-0000-0000-000000000000"


def write_snowplow_tables(population: Population, path: Path) -> None:
    """Write Snowplow's table to a file."""
    write_tables(population, path, _create_tables)


def _create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    # A page that stays open sends pings: one here, ten seconds after every eighth page.
    connection.execute(f"""
        CREATE TABLE events AS
        SELECT
          'shop' AS app_id, 'web' AS platform,
          received_at + INTERVAL 2 SECOND AS etl_tstamp, received_at AS collector_tstamp,
          original_timestamp + wait AS dvce_created_tstamp, sent_at + wait AS dvce_sent_tstamp,
          CASE WHEN ping THEN 'page_ping' WHEN kind = 'page' THEN 'page_view' ELSE 'struct' END AS event,
          md5(id || ping)::UUID::VARCHAR AS event_id,
          'sp' AS name_tracker, 'js-4.6.0' AS v_tracker, 'ssc-3.4.0-kafka' AS v_collector,
          'snowplow-enrich-5.3.0' AS v_etl,
          user_id, context_ip AS user_ipaddress, anonymous_id AS domain_userid, 1::BIGINT AS domain_sessionidx,
          CASE WHEN anonymous_id[1] = '0' THEN '{_NIL}' ELSE md5('net' || anonymous_id)::UUID::VARCHAR END
            AS network_userid,
          url AS page_url, title AS page_title, referrer AS page_referrer, 'https' AS page_urlscheme,
          'www.example.com' AS page_urlhost, 443::BIGINT AS page_urlport, path AS page_urlpath,
          nullif(split_part(url, '?', 2), '') AS page_urlquery,
          nullif(regexp_extract(url, '[?&]utm_medium=([^&#]+)', 1), '') AS mkt_medium,
          nullif(regexp_extract(url, '[?&]utm_source=([^&#]+)', 1), '') AS mkt_source,
          nullif(regexp_extract(url, '[?&]utm_campaign=([^&#]+)', 1), '') AS mkt_campaign,
          CASE kind WHEN 'track' THEN 'shop' WHEN 'identify' THEN 'account' END AS se_category,
          CASE kind WHEN 'track' THEN event_name WHEN 'identify' THEN 'Form Sent' END AS se_action,
          product_id AS se_label, context_user_agent AS useragent,
          "timestamp" + wait AS derived_tstamp,
          'com.snowplowanalytics.snowplow' AS event_vendor,
          CASE WHEN ping THEN 'page_ping' WHEN kind = 'page' THEN 'page_view' ELSE 'event' END AS event_name,
          'jsonschema' AS event_format, '1-0-0' AS event_version, loaded_at AS load_tstamp
        FROM temp.events
        CROSS JOIN (VALUES (FALSE, INTERVAL 0 SECOND), (TRUE, INTERVAL 10 SECOND)) AS pings (ping, wait)
        WHERE NOT ping OR (kind = 'page' AND id[-1] IN ('0', '8'))
    """)
