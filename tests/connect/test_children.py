"""Streams that are read for every record of their parent."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from aiohttp import web

from include.connect.auth import BearerAuth
from include.connect.errors import FixCredentials, FixSettings
from include.connect.landing_writer import PartLimits
from include.connect.pages import TokenPages
from include.connect.source import Source, Stream
from tests.connect.pulling import Pulling, run_of
from tests.connect.vendor import Vendor, js

FAMILY = Source(
    "acme",
    "Acme",
    "https://acme.example",
    BearerAuth(),
    pages=TokenPages("next", "after", size=2),
    streams=(
        Stream("lists", path="/lists"),
        Stream(
            "members",
            path="/lists/{parent.ref.url}/members",
            key=("list", "id"),
            parent="lists",
            variants=({}, {"status": "archived"}),
            concurrency=3,
        ),
    ),
)


def family(request: web.Request, body: bytes) -> web.Response:
    parts = request.path.strip("/").split("/")
    if len(parts) == 1:
        rows = [{"id": n, "ref": {"url": f"https://acme.example/lists/L {n}"}} for n in range(5)]
        return js({"results": [*rows, {"id": 9}], "next": None})
    if parts[1] == "L 3":
        return js({"message": "gone"}, 404)
    start = int(request.query.get("after", 0))
    count = 1 if request.query.get("status") == "archived" else 5
    prefix = "old-" if count == 1 else ""
    rows = [{"id": f"{prefix}{n}", "list": parts[1]} for n in range(start, min(start + 2, count))]
    return js({"results": rows, "next": str(start + 2) if start + 2 < count else None})


EXPECTED = [f"L {n}|{key}" for n in (0, 1, 2, 4) for key in ("0", "1", "2", "3", "4", "old-0")]


def test_children_are_read_for_every_parent_and_variant_in_order(pulling: Pulling, vendor: Vendor) -> None:
    vendor.handler = family
    lists, members = pulling(run_of("1"), FAMILY)
    assert (lists.records, members.records) == (6, 24)
    assert pulling.keys(members) == EXPECTED
    assert vendor.most_in_flight <= 3


def test_one_stream_brings_its_parents(pulling: Pulling, vendor: Vendor) -> None:
    vendor.handler = family
    manifests = pulling(run_of("1"), FAMILY, stream="members")
    assert [manifest.stream for manifest in manifests] == ["lists", "members"]
    with pytest.raises(FixSettings, match="lists, members"):
        pulling(run_of("2"), FAMILY, stream="member")


@pytest.mark.parametrize("fail_after", [2, 5, 9, 14])
def test_an_interrupted_pull_of_children_goes_on_where_it_stopped(
    pulling: Pulling, vendor: Vendor, fail_after: int
) -> None:
    def failing(request: web.Request, body: bytes) -> web.Response:
        if len(vendor.asked) > fail_after:
            return js({}, 401)
        return family(request, body)

    vendor.handler = failing
    with pytest.raises(FixCredentials):
        pulling(run_of("1"), FAMILY, limits=PartLimits(records=2))
    vendor.handler = family
    done = len(vendor.asked)
    _, members = pulling(run_of("1", attempt=2), FAMILY)
    assert pulling.keys(members) == EXPECTED
    asked_again = Counter(request.path_qs for request in vendor.asked[done:]) & Counter(
        request.path_qs for request in vendor.asked[: done - 1]
    )
    # At most what was read ahead, never the whole stream.
    assert asked_again.total() <= 7


def test_a_landing_that_cannot_be_written_ends_what_reads_ahead(
    pulling: Pulling, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.handler = family
    root = Path(pulling.settings.landing_root)
    (root / "acme/main").mkdir(parents=True)
    (root / "acme/main/members").write_text("a file where the folder should be")
    with pytest.raises(FixSettings, match="landing") as failed:
        pulling(run_of("1"), FAMILY)
    assert "STITCHLINE_LANDING" in str(failed.value)
    assert "never retrieved" not in caplog.text
    (root / "acme/main/members").unlink()
    _, members = pulling(run_of("1", attempt=2), FAMILY)
    assert pulling.keys(members) == EXPECTED
