"""Every API source keeps the same promises, whatever its paging, cursor and temper."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.connect.check import check
from include.connect.errors import FixCredentials, FixSettings
from include.connect.oauth import OAuth2
from include.sources import all_sources, get_source, source_names
from tests.sources.simulator import HTTP_SOURCES, PAGE, Launcher, Puller, Simulator

every_source = pytest.mark.parametrize("name", HTTP_SOURCES)
Truth = dict[str, dict[str, list[str]]]


def ordered(keys: dict[str, list[str]]) -> dict[str, list[str]]:
    return {stream: sorted(found) for stream, found in keys.items()}


@every_source
def test_keys_are_unique_and_every_vendor_has_several_pages(name: str, truth: Truth, world: Simulator) -> None:
    for stream, keys in truth[name].items():
        assert keys, f"{name}.{stream} is empty"
        assert len(set(keys)) == len(keys)
    assert max(len(keys) for keys in truth[name].values()) > PAGE


@every_source
@pytest.mark.parametrize(
    "faults",
    [
        # Not every second one: of two readers side by side that would always be the same one's.
        *(
            pytest.param(alone, marks=pytest.mark.long)
            for alone in ({"throttle_every": 3}, {"truncate_every": 2}, {"repeat_page_every": 2})
        ),
        {"throttle_every": 5, "retry_after": 1, "error_every": 3, "reset_every": 7, "truncate_every": 6},
    ],
    ids=lambda faults: "+".join(faults),
)
def test_every_record_lands_once_through_faults(
    name: str, faults: dict[str, int], pulling: Puller, truth: Truth
) -> None:
    pulling.simulator.faults(name, **faults)
    manifests = pulling(name)
    assert ordered(pulling.keys(manifests)) == ordered(truth[name])
    assert sum(manifest.quarantined for manifest in manifests) == 0
    assert sum(manifest.retries for manifest in manifests) > 0
    if "throttle_every" in faults:
        assert sum(manifest.throttled for manifest in manifests) > 0
        assert sum(manifest.throttled_seconds for manifest in manifests) > 0


@every_source
def test_a_second_run_asks_only_for_what_is_new(name: str, changing_world: Simulator, tmp_path: Path) -> None:
    pulling = Puller(changing_world, tmp_path)
    first = {manifest.stream: manifest for manifest in pulling(name)}
    first_keys = pulling.keys(list(first.values()))
    # Little of both: every source shares this world, and people at risk become fewer with each day and recovery.
    recovered = changing_world.advance(0.1, recover=1)["recovered"]
    pulling.follow()
    before = changing_world.requests(name)
    second = {manifest.stream: manifest for manifest in pulling(name, "2")}
    asked = changing_world.requests(name) - before
    assert asked == sum(manifest.requests for manifest in second.values())
    changing = [stream for stream in get_source(name).streams if stream.cursor or first[stream.name].cursor_to]
    for stream in changing:
        was, now = first[stream.name], second[stream.name]
        assert now.kind == "incremental"
        assert now.cursor_from == was.cursor_to
        # What the recovered people brought, and what a lookback reads once more.
        assert now.records <= max(8, was.records // 3), stream.name
    keys = pulling.keys(list(second.values()))
    if name == "stripe":
        assert len(set(keys["charges"]) - set(first_keys["charges"])) == len(recovered) > 0
    if name == "hubspot":
        assert keys["contacts"]
    third = pulling(name, "3")
    assert sum(manifest.records for manifest in third) <= sum(manifest.records for manifest in second.values())


@every_source
def test_refused_credentials_end_at_once_and_name_the_connection(name: str, pulling: Puller) -> None:
    good = pulling.simulator.connection(name)
    bad = type(good)(name, "main", good.base_url, good.login, "wrong-us1", good.extra)
    before = pulling.simulator.requests(name)
    with pytest.raises(FixCredentials) as failed:
        pulling(name, connection=bad)
    assert pulling.simulator.requests(name) - before == 1
    assert f"connection {name}" in str(failed.value)
    assert "wrong" not in str(failed.value)
    assert failed.value.request_id


@every_source
def test_a_token_that_expires_on_the_way_costs_no_page(name: str, pulling: Puller, truth: Truth) -> None:
    progress: list[int] = []

    def expire(stream: str, records: int, requests: int) -> None:
        if not progress:
            pulling.simulator.faults(name, expire_token=True)
        progress.append(records)

    if isinstance(get_source(name).auth, OAuth2):
        manifests = pulling(name, on_progress=expire)
    else:
        with pytest.raises(FixCredentials, match=f"connection {name}"):
            pulling(name, on_progress=expire)
        manifests = pulling(name, attempt=2)
    assert progress
    assert ordered(pulling.keys(manifests)) == ordered(truth[name])


@every_source
def test_drift_stops_nothing(name: str, pulling: Puller, truth: Truth) -> None:
    pulling.simulator.faults(name, drift=True)
    manifests = pulling(name)
    assert ordered(pulling.keys(manifests)) == ordered(truth[name])
    assert sum(manifest.quarantined for manifest in manifests) == 0


@every_source
def test_a_killed_pull_goes_on_after_its_last_finished_part(
    name: str, pulling: Puller, truth: Truth, launcher: Launcher
) -> None:
    world, landing = pulling.simulator, Path(pulling.settings.landing_root)
    world.faults(name, slow_seconds=0.02)
    with launcher.pulling(name, pulling) as process:
        while not list(landing.glob("**/_checkpoint.json")):
            assert process.is_alive()
        process.kill()
    world.control("DELETE", "faults")
    (path,) = landing.glob("**/_checkpoint.json")
    kept = json.loads(path.read_bytes())
    manifests = pulling(name, attempt=2)
    assert ordered(pulling.keys(manifests)) == ordered(truth[name])
    (finished,) = (manifest for manifest in manifests if f"/{manifest.stream}/" in str(path))
    # The first attempt's parts count as they lie there, and nothing else of it is left.
    assert [part.path for part in finished.parts][: len(kept["parts"])] == [part["path"] for part in kept["parts"]]
    assert all("attempt=1/" in part["path"] for part in kept["parts"])
    assert finished.attempt == 2
    assert not list(landing.glob("**/_checkpoint.json"))


@every_source
def test_check_finds_every_stream_readable(name: str, pulling: Puller) -> None:
    found = check(
        get_source(name),
        "main",
        pulling.settings,
        connection=pulling.simulator.connection(name),
        clock=pulling.clock,
    )
    streams = [stream.name for stream in get_source(name).streams]
    assert [one.check for one in found] == ["connection", "credentials", *streams]
    assert all(one.ok for one in found), found


@pytest.mark.parametrize("name", source_names())
def test_a_source_says_what_people_need_to_know(name: str) -> None:
    source = get_source(name)
    assert source.name == name
    assert source.title
    assert source.docs_url.startswith("https://")
    assert source.streams
    assert all(stream.description for stream in source.streams)
    names = [stream.name for stream in source.streams]
    assert len(set(names)) == len(names)
    for position, stream in enumerate(source.streams):
        assert stream.parent is None or stream.parent in names[:position]
        assert source.tables is not None or stream.read is not None or stream.path


def test_unknown_sources_get_a_hint() -> None:
    assert list(all_sources()) == list(source_names())
    with pytest.raises(FixSettings, match="Did you mean mailchimp") as failed:
        get_source("mailchip")
    assert "hubspot" in str(failed.value)
    with pytest.raises(FixSettings):
        get_source("..errors")
