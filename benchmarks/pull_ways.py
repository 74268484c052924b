"""One way of pulling the API of `pull_api.py` into a folder, in a process of its own.

Runs in the environments of the peers too, so it imports nothing of ours unless it is asked for ours. Starting, which
is importing, is told apart from the work.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import socket
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

PER_PAGE = 100
TEXT = ["string", "null"]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": True,
    "properties": {
        "id": {"type": "string"},
        "created_at": {"type": TEXT, "format": "date-time"},
        "updated_at": {"type": TEXT, "format": "date-time"},
        **{name: {"type": TEXT} for name in ("email", "first_name", "last_name", "phone", "job_title", "note")},
        "last_order_at": {"type": TEXT, "format": "date"},
        "is_subscribed": {"type": ["boolean", "null"]},
        "lifetime_value": {"type": ["number", "null"]},
        **{name: {"type": ["integer", "null"]} for name in ("orders_count", "owner_id")},
        "tags": {"type": ["array", "null"], "items": {"type": "string"}},
        **{
            name: {"type": ["object", "null"], "additionalProperties": True, "properties": {}}
            for name in ("company", "address", "utm", "custom_fields")
        },
    },
}
"""What Singer and Airbyte want to be told of a contact."""


def landed(url: str, folder: Path, records: int) -> None:
    """The pull engine: verbatim records in gzip parts, with keys, cursor and a manifest, each part fsynced."""
    _pull(url, folder)


def loaded(url: str, folder: Path, records: int) -> None:
    """Pulled, and loaded into the embedded warehouse's raw table."""
    run, settings = _pull(url, folder)
    import include.sources
    from include.warehouse.duckdb import open_duckdb
    from include.warehouse.load import load

    include.sources.__path__.append(str(Path(__file__).with_name("sources")))
    with open_duckdb(settings) as engine:
        load(engine, settings, "crm", "main", run)


def paced(url: str, folder: Path, records: int) -> None:
    """The pull engine where only so many calls a second are permitted; `records` is that rate."""
    from dataclasses import replace

    from include.connect.source import Rate

    # The paced list ends by a page that is not full, not by the number of pages.
    _pull(
        f"{url}/paced",
        folder,
        lambda source: replace(source, budget=Rate(records), pages=replace(source.pages, count=None)),
    )


def _pull(url: str, folder: Path, change: Callable[[Any], Any] = lambda source: source) -> tuple[Any, Any]:
    from datetime import UTC, datetime

    from benchmarks.sources.crm import SOURCE
    from include.connect.connection import Connection
    from include.connect.pull import pull
    from include.run import Run
    from include.settings import Settings

    run, settings = Run.of("ingest_crm", "bench", datetime.now(UTC)), Settings(home=folder)
    pull(change(SOURCE), "main", settings, run, connection=Connection("crm", base_url=url, password="token"))
    return run, settings


def dlt(url: str, folder: Path, records: int) -> None:
    """REST API source to DuckDB by Parquet, with lists unnested into child tables as it does by itself."""
    _dlt(url, folder, None)


def dlt_flat(url: str, folder: Path, records: int) -> None:
    """The same, with objects and lists kept as JSON: one table, least work."""
    _dlt(url, folder, 0)


def _dlt(url: str, folder: Path, nesting: int | None) -> None:
    import dlt as library
    from dlt.sources.rest_api import rest_api_source

    source = rest_api_source(
        {
            "client": {
                "base_url": url,
                "auth": {"type": "bearer", "token": "token"},
                "paginator": {"type": "page_number", "base_page": 1, "page_param": "page", "total_path": "pages"},
            },
            "resources": [
                {
                    "name": "contacts",
                    "primary_key": "id",
                    "endpoint": {"path": "contacts", "params": {"per_page": PER_PAGE}, "data_selector": "results"},
                }
            ],
        },
        max_table_nesting=nesting,
    )
    pipeline = library.pipeline(
        "crm",
        destination=library.destinations.duckdb(str(folder / "dlt.duckdb")),
        dataset_name="raw",
        pipelines_dir=str(folder / "pipelines"),
    )
    pipeline.run(source, loader_file_format="parquet").raise_on_failed_jobs()


def singer(url: str, folder: Path, records: int) -> None:
    """A tap of the Singer SDK, its messages into a file."""
    _singer(url, folder, records, is_quick=False)


def singer_msgspec(url: str, folder: Path, records: int) -> None:
    """The same with the SDK's optional writer of messages, which is quicker."""
    _singer(url, folder, records, is_quick=True)


def _singer(url: str, folder: Path, records: int, *, is_quick: bool) -> None:
    from singer_sdk import RESTStream, Tap
    from singer_sdk.authenticators import BearerTokenAuthenticator
    from singer_sdk.contrib.msgspec import MsgSpecWriter
    from singer_sdk.pagination import PageNumberPaginator

    class Numbers(PageNumberPaginator):
        def has_more(self, response: Any) -> bool:
            return self.current_value < -(-records // PER_PAGE)

    class Contacts(RESTStream):
        name = "contacts"
        path = "/contacts"
        primary_keys = ("id",)
        replication_key = "updated_at"
        records_jsonpath = "$.results[*]"
        schema = SCHEMA
        url_base = url

        @property
        def authenticator(self) -> Any:
            return BearerTokenAuthenticator(token="token")

        def get_new_paginator(self) -> Any:
            return Numbers(1)

        def get_url_params(self, context: Any, next_page_token: Any) -> dict[str, Any]:
            return {"page": next_page_token or 1, "per_page": PER_PAGE}

    class CRM(Tap):
        name = "tap-crm"
        config_jsonschema: ClassVar = {"properties": {}}
        message_writer_class = MsgSpecWriter if is_quick else Tap.message_writer_class

        def discover_streams(self) -> Any:
            return [Contacts(self)]

    _into(folder / "messages.jsonl")
    CRM(config={}).sync_all()


def airbyte(url: str, folder: Path, records: int) -> None:
    """A declarative source of airbyte-cdk, as its entry point runs it, its messages into a file."""
    from airbyte_cdk.entrypoint import launch
    from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer
    from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

    stream = {
        "type": "DeclarativeStream",
        "name": "contacts",
        "primary_key": ["id"],
        "schema_loader": {"type": "InlineSchemaLoader", "schema": SCHEMA},
        "retriever": {
            "type": "SimpleRetriever",
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": ["results"]},
            },
            "requester": {
                "type": "HttpRequester",
                "url_base": url,
                "path": "/contacts",
                "http_method": "GET",
                "authenticator": {"type": "BearerAuthenticator", "api_token": "token"},
            },
            "paginator": {
                "type": "DefaultPaginator",
                "page_token_option": {
                    "type": "RequestOption",
                    "inject_into": "request_parameter",
                    "field_name": "page",
                },
                "page_size_option": {
                    "type": "RequestOption",
                    "inject_into": "request_parameter",
                    "field_name": "per_page",
                },
                "pagination_strategy": {
                    "type": "PageIncrement",
                    "start_from_page": 1,
                    "page_size": PER_PAGE,
                    "inject_on_first_request": True,
                },
            },
        },
    }
    manifest = {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["contacts"]},
        "streams": [stream],
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
    }
    catalog = {
        "streams": [
            {
                "stream": {"name": "contacts", "json_schema": SCHEMA, "supported_sync_modes": ["full_refresh"]},
                "sync_mode": "full_refresh",
                "destination_sync_mode": "append",
            }
        ]
    }
    (folder / "config.json").write_text("{}")
    (folder / "catalog.json").write_text(json.dumps(catalog))
    source = ConcurrentDeclarativeSource(
        catalog=ConfiguredAirbyteCatalogSerializer.load(catalog), config={}, state=[], source_config=manifest
    )
    _into(folder / "messages.jsonl")
    launch(source, ["read", "--config", str(folder / "config.json"), "--catalog", str(folder / "catalog.json")])


def bare(url: str, folder: Path, records: int) -> None:
    """A socket, read page by page into a file as the bytes come: the floor."""
    _bare(url, folder / "pages.json.gz", records, lambda body: body)


def bare_unpacked(url: str, folder: Path, records: int) -> None:
    """The same, each page unpacked by zlib."""
    _bare(url, folder / "pages.json", records, lambda body: zlib.decompress(body, wbits=31))


def _bare(url: str, file: Path, records: int, change: Callable[[bytes], bytes]) -> None:
    with file.open("wb") as target:
        for body in _bodies(url, -(-records // PER_PAGE)):
            target.write(change(body))


def _bodies(url: str, pages: int) -> Iterator[bytes]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        for page in range(1, pages + 1):
            ask = f"GET /contacts?per_page={PER_PAGE}&page={page} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            connection.sendall(f"{ask}Accept-Encoding: gzip\r\nAuthorization: Bearer token\r\n\r\n".encode())
            head, found, body = connection.recv(2**18).partition(b"\r\n\r\n")
            assert found, "the head came in pieces"
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            pieces, have = [body], len(body)
            while have < length:
                pieces.append(connection.recv(2**18))
                have += len(pieces[-1])
            yield b"".join(pieces)


def _into(file: Path) -> None:
    """What is printed from here on goes into the file."""
    os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), 1)


WAYS: dict[str, Callable[[str, Path, int], None]] = {
    "ours, landed": landed,
    "ours, loaded": loaded,
    "ours, paced": paced,
    "dlt": dlt,
    "dlt, flat": dlt_flat,
    "airbyte-cdk": airbyte,
    "Singer SDK": singer,
    "Singer SDK, msgspec": singer_msgspec,
    "bare socket": bare,
    "bare socket, unpacked": bare_unpacked,
}
PULL = ("benchmarks.sources.crm", "include.connect.pull")
MODULES = {
    "ours, landed": PULL,
    "ours, loaded": (*PULL, "include.warehouse.duckdb", "include.warehouse.load"),
    "dlt": ("dlt", "dlt.sources.rest_api", "dlt.destinations.impl.duckdb.duck", "pyarrow.parquet"),
    "airbyte-cdk": ("airbyte_cdk.entrypoint", "airbyte_cdk.sources.declarative.concurrent_declarative_source"),
    "Singer SDK": ("singer_sdk", "singer_sdk.contrib.msgspec"),
}
"""What a way imports before the clock starts."""


def run(way: str, url: str, folder: Path, records: int) -> None:
    """Go one way, and leave what it took in a file beside the folder."""
    for module in MODULES.get(way) or MODULES.get(way.partition(",")[0], ()):
        importlib.import_module(module)
    start, began = _processor(), time.perf_counter()
    WAYS[way](url, folder, records)
    sys.stdout.flush()
    took = {"seconds": time.perf_counter() - began, "processor": _processor() - start, "start": start}
    # Not ru_maxrss: that begins with what the parent held when it forked.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    folder.with_name("took.json").write_text(json.dumps(took | {"gigabytes": int(status["VmHWM"].split()[0]) / 2**20}))


def _processor() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
