"""`stitchline.js` in a real browser, on a page of another origin."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from include.collector.app import SCRIPT
from tests.collector.running import Running, WebSite

PAGE = """<!doctype html><title>Pricing</title>
<a id="book" href="https://calendly.com/acme/intro?utm_source=site">Book</a>
<a id="other" href="https://evilcalendly.com/acme">Other</a>
<a id="odd" href="https://calendly.com:x/">Odd</a>
<div id="widget" data-url="https://calendly.com/acme/demo"></div>
<script src="{collector}/stitchline.js" data-key="wk-website"></script>
<script>
addEventListener("load", async () => {{
  stitchline.track("Viewed prices", {{ plan: "pro" }});
  stitchline.identify("user-7", {{ email: "ann@example.com" }});
  stitchline.track("Signed in");
  document.body.insertAdjacentHTML("beforeend", '<a id="late" href="https://calendly.com/acme/late">Late</a>');
  const late = document.getElementById("late");
  late.addEventListener("click", e => e.preventDefault());
  late.click();
  const answer = await fetch("{collector}/v1/track", {{
    method: "POST", credentials: "include",
    headers: {{ "Content-Type": "application/json", Authorization: "Basic " + btoa("wk-website:") }},
    body: JSON.stringify({{ messageId: "by-hand", event: "By hand" }})
  }});
  document.body.dataset.fetched = answer.status;
}});
</script>"""


def visit(url: str, profile: Path) -> str:
    """Open a page and return what it became."""
    command = [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
    ]
    command += [
        "--disable-background-networking",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=3000",
        "--dump-dom",
        url,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def calls(collector: Running) -> list[dict[str, Any]]:
    return [{**entry.outside, **json.loads(entry.body)} for entry in collector.kept() if entry.webhook == "segment"]


def test_a_visit_reaches_the_collector_and_calendly_learns_who_it_is(collector: Running, tmp_path: Path) -> None:
    with WebSite(lambda path: PAGE.format(collector=collector.url).encode()) as site:
        first = visit(f"{site.url}/prices?email=ann%40example.com&gclid=g1", tmp_path)
        again = visit(f"{site.url}/", tmp_path)
    found = calls(collector)

    assert 'data-fetched="200"' in first
    assert Counter(call.get("event", call["type"]) for call in found) == dict.fromkeys(
        ("page", "Viewed prices", "identify", "Signed in", "By hand"), 2
    )
    sent = sorted((call for call in found if call["messageId"] != "by-hand"), key=lambda call: call["timestamp"])
    (visitor,) = {call["anonymousId"] for call in sent}
    assert len({call["messageId"] for call in sent}) == len(sent)
    assert {call["write_key"] for call in found} == {"website"}
    page = next(call for call in sent if call["type"] == "page")
    assert page["context"]["page"] == {
        "url": f"{site.url}/prices?email=ann%40example.com&gclid=g1",
        "path": "/prices",
        "search": "?email=ann%40example.com&gclid=g1",
        "title": "Pricing",
        "referrer": "",
    }
    assert "userId" not in page
    signed_in = [call for call in sent if call.get("event") == "Signed in" or call["timestamp"] > sent[3]["timestamp"]]
    assert [call["userId"] for call in signed_in] == ["user-7"] * 5  # the second visit knows it from the first
    assert next(call["traits"] for call in sent if call["type"] == "identify") == {"email": "ann@example.com"}
    for dom in (first, again):
        assert f'id="book" href="https://calendly.com/acme/intro?utm_source=site&amp;utm_term={visitor}"' in dom
        assert f'data-url="https://calendly.com/acme/demo?utm_term={visitor}"' in dom
        assert f'id="late" href="https://calendly.com/acme/late?utm_term={visitor}"' in dom
        assert 'href="https://evilcalendly.com/acme"' in dom
        assert 'href="https://calendly.com:x/"' in dom


@pytest.mark.parametrize("most", [2048])
def test_the_script_stays_small(most: int) -> None:
    assert len(SCRIPT.read_bytes()) <= most
