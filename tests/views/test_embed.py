"""The signed page for frames: it opens one customer until it expires, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from browsers import FORMER_KEY, HOSTS, KEY, Site
from pydantic import SecretStr
from town import ADA, BUSY, ERASED, MERGED, QUIET, Town

from include.connect.errors import FixSettings
from include.journey.embed import EmbedLink, frame_ancestors, lasting, read_token, sign
from include.settings import ROOT, Settings, read_settings

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
LATER = datetime.now(UTC) + timedelta(hours=1)
EMBED = "/stitchline/embed"


def keys(*values: str) -> Settings:
    return Settings(embed_key=tuple(SecretStr(value) for value in values))


def token(customer_id: str = ADA, key: str = KEY, expires_at: datetime = LATER) -> str:
    return sign(keys(key), EmbedLink(customer_id, "link1", expires_at))


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_opens_what_it_was_signed_for_until_it_expires() -> None:
    link = EmbedLink(ADA, "link1", NOW + timedelta(hours=1))
    text = sign(keys(KEY), link)
    assert read_token(keys(KEY), text, NOW) == link
    assert read_token(keys(KEY), text, link.expires_at - timedelta(seconds=1)) == link
    assert read_token(keys(KEY), text, link.expires_at) is None


def test_a_new_key_signs_and_a_former_one_still_opens_until_it_is_taken_away() -> None:
    both = keys(KEY, FORMER_KEY)
    for key in (KEY, FORMER_KEY):
        assert read_token(both, token(key=key), NOW) is not None
    assert read_token(keys(KEY), sign(both, EmbedLink(ADA, "link1", LATER)), NOW) is not None
    assert read_token(keys(KEY), token(key=FORMER_KEY), NOW) is None
    assert read_token(keys(), token(), NOW) is None


def broken() -> Iterator[str]:
    whole = token()
    head, body, proof = whole.split(".")
    claims = {"aud": "stitchline-embed", "sub": ADA, "jti": "link1", "exp": int(LATER.timestamp())}
    yield from ("", "x", "..", whole[:-3], f"{head}.{body}.", f"{head}.{body[:-2]}.{proof}", whole + "x" * 3000)
    yield whole.replace(body, token(BUSY).split(".")[1])
    yield token(key="somebody else's " + "z" * 30)
    yield token(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    yield jwt.encode(claims, "", algorithm="none")
    yield jwt.encode({**claims, "aud": "apache-airflow"}, KEY, algorithm="HS256")
    for name in claims:
        yield jwt.encode({key: value for key, value in claims.items() if key != name}, KEY, algorithm="HS256")


@pytest.mark.parametrize("text", list(broken()))
def test_anything_else_is_refused_alike(site: Site, text: str) -> None:
    answer = site(None).get(EMBED, params={"token": text})
    assert answer.status_code == 403
    assert "This link does not open" in answer.text
    assert "Reload the page that shows it" in answer.text
    assert answer.text == site(None).get(EMBED).text


@pytest.mark.parametrize("text", ["", "1", "1y", "0h", "-1h", "32d", "99999999h", "1h30m"])
def test_a_time_that_is_none_is_said(text: str) -> None:
    with pytest.raises(FixSettings, match="31d is the longest"):
        lasting(text)
    assert lasting("90m") == timedelta(hours=1.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EMBED_KEY", "short"),
        ("EMBED_HOSTS", "https://a.example; script-src *"),
        ("EMBED_HOSTS", "https://*"),
        ("EMBED_HOSTS", "acme.zendesk.com"),
        ("PUBLIC_URL", "airflow.example.com"),
        ("PUBLIC_URL", "javascript:alert(1)"),
    ],
)
def test_a_setting_that_would_open_too_much_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"STITCHLINE_{name}", value)
    with pytest.raises(FixSettings, match=f"STITCHLINE_{name}"):
        read_settings()


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_opens_without_a_login_and_leads_nowhere(site: Site, town: Town) -> None:
    answer = site(None).get(EMBED, params={"token": token()})
    assert answer.status_code == 200
    assert "Ada Lovelace" in answer.text
    assert "ada@example.com" in answer.text
    assert "<form" not in answer.text
    assert re.findall(r"<a href", answer.text) == []
    assert "www.example.com" not in answer.text
    headers = answer.headers
    assert headers["Content-Security-Policy"].endswith(f"frame-ancestors {HOSTS.replace(',', ' ')}")
    assert "form-action 'none'" in headers["Content-Security-Policy"]
    assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("no-referrer", "no-store")
    assert frame_ancestors(Settings()) == "'none'"
    entry = town.audited()[-1]
    assert (entry.who, entry.action, entry.what) == ("embed link1", "read", f"customer {ADA}")


def test_it_opens_one_customer_only(site: Site) -> None:
    stranger = site(None)
    opened = {"token": token(QUIET)}
    assert "Ada" not in stranger.get(EMBED, params={**opened, "customer_id": ADA, "identifier": ADA}).text
    assert stranger.get(f"/stitchline/customers/{QUIET}", params=opened).status_code == 401
    as_login = {"Authorization": f"Bearer {token(QUIET)}"}
    assert stranger.get(f"/stitchline/customers/{QUIET}", headers=as_login).status_code == 403
    assert stranger.post(EMBED, params=opened).status_code == 405


def test_it_follows_a_merge_and_ends_with_an_erasure(site: Site) -> None:
    merged = site(None).get(EMBED, params={"token": token(MERGED)})
    assert (merged.status_code, "Ada Lovelace" in merged.text) == (200, True)
    erased = site(None).get(EMBED, params={"token": token(ERASED)})
    assert (erased.status_code, "<form" in erased.text) == (410, False)


def test_older_pages_stay_in_the_frame(site: Site) -> None:
    first = site(None).get(EMBED, params={"token": token(BUSY)}).text
    older = re.findall(r'<a href="([^"]+)"', first)
    assert [link.startswith("?token=") for link in older] == [True]
    second = site(None).get(EMBED + older[0].replace("&amp;", "&"))
    assert second.status_code == 200
    assert second.text != first


def test_the_token_is_in_no_log(site: Site) -> None:
    text = token(QUIET)
    site(None).get(EMBED, params={"token": text})
    logged = site.log.read_text()
    assert "path=/stitchline/embed" in logged
    assert text not in logged
    assert text.split(".")[2] not in logged
    assert site("olga").post("/stitchline/customers", data={"identifier": "ada@example.com"}).status_code == 303
    assert "ada@" not in site.log.read_text()


# --- who makes them ---------------------------------------------------------------------------------------------------


def test_a_tool_asks_for_an_address_as_zendesks_app_does(site: Site, town: Town) -> None:
    asked = {"identifier": "zendesk_user_id:main/900", "expires": "8h"}
    answer = site("olga").post("/stitchline/embed-links", data=asked)
    assert answer.status_code == 201
    made = answer.json()
    assert made["customer_id"] == BUSY
    assert "Busy Bee" in site(None).get(made["url"].removeprefix(site.url)).text
    entry = town.audited()[-2]
    assert (entry.who, entry.what) == ("olga", f"customer {BUSY}")
    assert town.audited()[-1].who.removeprefix("embed ") in entry.action
    assert site("olga").post("/stitchline/embed-links", data={"identifier": "nobody@example.com"}).status_code == 404
    assert site("vera").post("/stitchline/embed-links", data=asked).status_code == 403


@pytest.mark.long
def test_the_command_prints_an_address_that_opens(site: Site, town: Town) -> None:
    env = {**os.environ, "STITCHLINE_HOME": str(town.settings.home), "STITCHLINE_PUBLIC_URL": site.url}

    def run(identifier: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "include.cli", "customer", "embed-url", identifier, "--expires", "30m"]
        return subprocess.run(command, env={**env, **more}, cwd=ROOT, capture_output=True, text=True)

    done = run("ada@example.com", STITCHLINE_EMBED_KEY=FORMER_KEY)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert "Ada Lovelace" in site(None).get(done.stdout.strip().removeprefix(site.url)).text
    failed = run("ada@example.com", STITCHLINE_EMBED_KEY="")
    assert failed.returncode == 2
    assert failed.stderr.startswith("FixSettings: STITCHLINE_EMBED_KEY")
