"""A customer's page behind Airflow's login."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from browsers import Site
from town import (
    ADA,
    BUSY,
    BUSY_ACTIVITIES,
    ERASED,
    HOSTILE,
    LONG,
    MERGED,
    NOBODY,
    QUIET,
    RETIRED,
    SCRIPT,
    Town,
)

CUSTOMERS = "/stitchline/customers"


@pytest.mark.parametrize("path", [CUSTOMERS, f"{CUSTOMERS}/{ADA}", f"{CUSTOMERS}/{NOBODY}"])
def test_who_is_not_signed_in_sees_nothing(site: Site, path: str) -> None:
    answer = site(None).get(path)
    assert answer.status_code == 401
    assert "Sign in first" in answer.text
    assert "Ada" not in answer.text
    forged = site(None).get(path, headers={"Authorization": "Bearer not.a.token"})
    assert forged.status_code in (401, 403)
    assert site(None).post(CUSTOMERS, data={"identifier": "ada@example.com"}).status_code == 401
    assert site(None).post("/stitchline/embed-links", data={"identifier": "ada@example.com"}).status_code == 401


def test_a_page_shows_who_somebody_is_and_what_they_did(site: Site) -> None:
    answer = site("olga").get(f"{CUSTOMERS}/{ADA}")
    assert answer.status_code == 200
    text = answer.text
    told = ("Ada Lovelace", "ada@example.com", "countess@example.org", "+442079460000", "loyalty", "1,234.50 EUR")
    assert [word for word in told if word not in text] == []
    # One no outweighs a yes, and a list that was left is not shown.
    assert "email marketing: no" in text
    assert "phone: yes" in text
    assert "at risk customers" in text
    assert "churned" not in text
    words = re.findall(r"<bdi>(liked post|viewed page|opened ticket|placed order|meeting)</bdi>", text)
    assert words == ["liked post", "viewed page", "opened ticket", "placed order", "meeting"]
    assert text.count(">inferred</span>") == 1
    assert text.count(">by others</span>") == 1
    assert "25.83 EUR" in text
    assert "At an unknown time" in text
    assert 'href="https://www.example.com/?email=ada@example.com" rel="noopener noreferrer"' in text


@pytest.mark.parametrize(("who", "is_masked"), [("vera", True), ("ulla", True), ("olga", False), ("anna", False)])
def test_personal_data_is_masked_for_who_may_not_read_connections(site: Site, who: str, is_masked: bool) -> None:
    text = site(who).get(f"{CUSTOMERS}/{ADA}").text
    personal = ("Lovelace", "ada@", "countess", "9460000", "0cc175b9", "My broken pump", "www.example.com", "Pricing")
    seen = [word for word in personal if word in text]
    assert seen == ([] if is_masked else list(personal))
    assert "a***@example.com" in text or not is_masked
    # What says nothing of who they are stays.
    assert "4711" in text
    assert "1,234.50 EUR" in text
    assert re.search(r"status <bdi>open</bdi>", text)


def test_every_reading_is_noted(site: Site, town: Town) -> None:
    before = town.audited()
    site("vera").get(f"{CUSTOMERS}/{ADA}")
    site("olga").get(f"{CUSTOMERS}/{QUIET}")
    site("olga").get(f"{CUSTOMERS}/{NOBODY}")
    site("olga").get(CUSTOMERS)
    noted = [(entry.who, entry.action, entry.what) for entry in town.audited()[len(before) :]]
    assert noted == [("vera", "read, masked", f"customer {ADA}"), ("olga", "read", f"customer {QUIET}")]


@pytest.mark.parametrize(
    ("customer_id", "status", "says"),
    [
        (ERASED, 410, "This person was erased"),
        (RETIRED, 410, "This customer is no more"),
        (NOBODY, 404, "No such customer"),
        ("'; DROP TABLE x --", 404, "No such customer"),
        ("x" * 3000, 404, "No such customer"),
    ],
)
def test_an_id_without_a_person_says_why(site: Site, customer_id: str, status: int, says: str) -> None:
    answer = site("olga").get(f"{CUSTOMERS}/{customer_id}")
    assert (answer.status_code, says in answer.text) == (status, True)


def test_an_id_that_was_merged_leads_to_the_person_of_today(site: Site) -> None:
    answer = site("olga").get(f"{CUSTOMERS}/{MERGED}")
    assert (answer.status_code, answer.headers["Location"]) == (307, f"{CUSTOMERS}/{ADA}")


@pytest.mark.parametrize(
    "identifier",
    [ADA, MERGED, " ADA@Example.com ", "+44 20 7946 0000", "hubspot_contact_id:4711", "countess@example.org"],
)
def test_any_identifier_leads_to_the_page(site: Site, identifier: str) -> None:
    answer = site("olga").post(CUSTOMERS, data={"identifier": identifier})
    assert answer.status_code == 303
    assert site("olga").get(answer.headers["Location"], follow_redirects=True).text.count("Ada Lovelace") == 2


@pytest.mark.parametrize(
    ("identifier", "says"),
    [
        ("nobody@example.com", "Nobody has this identifier"),
        ("4711", "of different people"),
        ("info@example.com", "nobody&#39;s alone"),
        ("", "no identifier"),
        (SCRIPT, "Nobody has this identifier"),
        ("x" * 900, "no identifier"),
        ("x" * 1001, "did not work"),
    ],
)
def test_a_search_that_finds_nobody_says_why(site: Site, identifier: str, says: str) -> None:
    answer = site("vera").post(CUSTOMERS, data={"identifier": identifier})
    assert answer.status_code in (404, 422)
    assert says in answer.text
    assert SCRIPT not in answer.text


def test_what_people_are_called_is_never_markup(site: Site) -> None:
    answer = site("olga").get(f"{CUSTOMERS}/{HOSTILE}")
    assert answer.status_code == 200
    text = answer.text
    assert not re.search(r"<script|<img|onerror=alert\(1\)>|javascript:", text.replace("&lt;", "").replace("&#34;", ""))
    assert "{{ 7 * 7 }}" in text
    assert "عمر" in text
    # Nothing is longer than a reader wants, and each text keeps its own direction.
    assert LONG[:400] not in text
    assert len(text) < 10_000
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_empty_journey_is_a_page(site: Site) -> None:
    answer = site("olga").get(f"{CUSTOMERS}/{QUIET}")
    assert answer.status_code == 200
    assert "A visitor" in answer.text
    assert "Nothing is known of what they did." in answer.text
    assert ">Older<" not in answer.text


def test_ten_thousand_activities_are_read_page_by_page_and_none_twice(site: Site) -> None:
    browser, path = site("olga"), f"{CUSTOMERS}/{BUSY}"
    seen: list[int] = []
    for _ in range(7):
        text = browser.get(path).text
        seen += [int(number) for number in re.findall(r"<span>n <bdi>(\d+)</bdi>", text)]
        path = f"{CUSTOMERS}/{BUSY}" + re.search(r'<a href="(\?before=[^"]+)">Older', text)[1].replace("&amp;", "&")
    # Newest first; among those of one moment the greatest id.
    assert seen == sorted(range(BUSY_ACTIVITIES), key=lambda n: (n // 100, -n))[: 7 * 50]
    last = browser.get(f"{CUSTOMERS}/{BUSY}", params={"before": "1.0,segment/0"})
    assert "Nothing older." in last.text


@pytest.mark.parametrize("before", ["x", "1,", ",a", "99999999999999999999,a", "1.x,a", "'"])
def test_a_broken_place_is_said(site: Site, before: str) -> None:
    assert site("olga").get(f"{CUSTOMERS}/{BUSY}", params={"before": before}).status_code == 400


def test_many_look_at_once(site: Site) -> None:
    browser = site("olga")
    people = (ADA, HOSTILE, QUIET, BUSY) * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda who: browser.get(f"{CUSTOMERS}/{who}"), people))
    assert [answer.status_code for answer in answers] == [200] * len(people)
    assert all(who in answer.text for who, answer in zip(people, answers, strict=True))
