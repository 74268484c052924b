from __future__ import annotations

import asyncio
import base64
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from aiohttp import web
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from include.connect.connection import Connection
from include.connect.errors import FixCredentials, FixSettings, RetryLater
from include.connect.http import Session
from include.connect.oauth import LOCK_SECONDS, ServiceAccount
from include.settings import Settings
from include.state.store import Store
from tests.connect.token_buyer import ACME, get, get_and_say
from tests.connect.vendor import Vendor, js

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.connect.token_buyer"])


@dataclass
class Authority:
    """A token endpoint and an API: refresh tokens rotate, and a used one works only within the grace."""

    vendor: Vendor
    clock: Any
    grace: float = 0.0
    lasts: int | None = 1800
    refused: set[str] = field(default_factory=set)
    spent: dict[str, float] = field(default_factory=dict)
    bought: list[dict[str, str]] = field(default_factory=list)
    signed_in_as: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.vendor.handler = self.answer

    def answer(self, request: web.Request, body: bytes) -> web.Response:
        return self.token(request, body) if request.path == "/token" else self.things(request)

    def token(self, request: web.Request, body: bytes) -> web.Response:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        refresh = form.get("refresh_token", "")
        is_late = refresh in self.spent and self.clock.at >= self.spent[refresh] + self.grace
        if is_late or refresh in self.refused:
            return js({"error": "invalid_grant", "error_description": "for mara@oak.example"}, 400, X_Request_Id="r-77")
        if refresh:
            self.spent.setdefault(refresh, self.clock.at)
        self.bought.append(form)
        self.signed_in_as.append(request.headers.get("Authorization", ""))
        given: dict[str, Any] = {"access_token": f"at{len(self.bought)}", "token_type": "Bearer"}
        given |= {"expires_in": self.lasts} if self.lasts else {}
        return js(given | ({"refresh_token": f"rt{len(self.bought)}"} if refresh else {}))

    def things(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token in self.refused or not token.startswith("at"):
            return js({"error": "token"}, 401)
        return js({"token": token, "tenant": request.headers.get("tenant"), "path": request.path})


@pytest.fixture
def authority(vendor: Vendor, clock: Any) -> Authority:
    return Authority(vendor, clock)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"encryption_key": Fernet.generate_key().decode()})


@pytest.fixture
def person(vendor: Vendor) -> Connection:
    """A connection that a person authorized."""
    extra = {"refresh_token": "rt0", "tenant": "t-1"}
    return Connection("acme", "eu", vendor.url, "client-1", "s3cret", extra)


def kept(settings: Settings) -> list[str]:
    """What lies in the store, decrypted."""
    with Store.open(settings) as store:
        return [str(store.get_token(row["name"])) for row in store._read("SELECT name FROM tokens")]


# -- grants ---------------------------------------------------------------------------------------------------


def test_client_credentials_are_shown_once_for_all_sessions(authority, settings, person, clock) -> None:
    app = replace(person, extra={"tenant": "t-1"})
    assert [get(app, settings, clock)["token"] for _ in range(3)] == ["at1"] * 3
    assert authority.bought == [{"grant_type": "client_credentials"}]
    assert base64.b64decode(authority.signed_in_as[0].removeprefix("Basic ")).decode() == "client-1:s3cret"
    with Store.open(settings) as store:
        assert "at1" not in str([dict(row) for row in store._read("SELECT * FROM tokens")])
    # A minute before its end it is bought anew; with another secret, at once.
    clock.at += 1800 - 59
    assert get(app, settings, clock)["token"] == "at2"
    assert get(replace(app, password="other"), settings, clock)["token"] == "at3"


def test_a_jwt_is_signed_for_the_user_and_lives_three_minutes(authority, settings, person, clock) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signing = replace(person, password="", extra={"username": "sync@acme.example", "private_key": pem, "tenant": "t"})
    authority.lasts = None
    assert get(signing, settings, clock)["token"] == "at1"
    (form,) = authority.bought
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    audience = "https://login.acme.example"
    options = {"verify_exp": False, "require": ["iss", "sub", "aud", "exp"]}
    claims = jwt.decode(form["assertion"], public, ["RS256"], audience=audience, options=options)
    assert (claims["iss"], claims["sub"], claims["exp"]) == ("client-1", "sync@acme.example", int(clock.at) + 180)
    assert authority.signed_in_as == [""]
    # Nobody said when it ends: it is used until the vendor refuses it.
    clock.at += 10 * 86_400
    assert get(signing, settings, clock)["token"] == "at1"
    broken = replace(signing, extra={**signing.extra, "private_key": "not a key"})
    with pytest.raises(FixCredentials, match="private key") as failed:
        get(broken, settings, clock)
    assert "not a key" not in str(failed.value)


def test_a_service_account_signs_that_it_is_itself_and_what_for(person) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    form = ServiceAccount("https://tokens.example", "https://api.example/auth/write").form(
        replace(person, extra={"private_key": pem}), None, 1000.5
    )
    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(form["assertion"], public, ["RS256"], audience="https://tokens.example", options=options)
    scope = "https://api.example/auth/write"
    assert claims == {"iss": "client-1", "aud": "https://tokens.example", "scope": scope, "iat": 1000, "exp": 1180}
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"


def test_what_a_connection_lacks_is_named(settings, vendor) -> None:
    with pytest.raises(FixCredentials, match="no username") as failed:
        get(Connection("acme", "eu", vendor.url, "client-1", "", {"private_key": "pem", "tenant": "t"}), settings)
    assert "connection acme__eu" in str(failed.value)
    with pytest.raises(FixCredentials, match="no tenant"):
        get(Connection("acme", "eu", vendor.url, "client-1", "s3cret"), settings)
    assert vendor.asked == []


# -- rotation -------------------------------------------------------------------------------------------------


def test_a_rotated_refresh_token_is_stored_before_its_access_token_is_used(
    authority, settings, person, clock, vendor
) -> None:
    seen: list[list[str]] = []
    plain = authority.things

    def things(request: web.Request) -> web.Response:
        seen.append(kept(settings))
        return plain(request)

    authority.things = things
    assert get(person, settings, clock) == {"token": "at1", "tenant": "t-1", "path": "/api/v1/things"}
    assert '"refresh":"rt1"' in seen[0][0]
    clock.at += 1800
    assert get(person, settings, clock)["token"] == "at2"
    assert '"refresh":"rt2"' in seen[1][0]
    # Another account under the same authorization goes on with the newest, not with the spent one of its extra.
    clock.at += 1800
    assert get(replace(person, account="us", password="renewed secret"), settings, clock)["token"] == "at3"
    assert [form["refresh_token"] for form in authority.bought] == ["rt0", "rt1", "rt2"]
    # Whoever authorized anew means the new one.
    again = replace(person, extra={**person.extra, "refresh_token": "new0"})
    assert get(again, settings, clock)["token"] == "at4"
    assert authority.bought[3]["refresh_token"] == "new0"


def test_a_401_renews_once(authority, settings, person, clock, vendor) -> None:
    assert get(person, settings, clock)["token"] == "at1"
    authority.refused = {"at1"}
    assert get(person, settings, clock)["token"] == "at2"
    authority.refused = {f"at{number}" for number in range(9)}
    before = len(vendor.asked)
    with pytest.raises(FixCredentials, match="401"):
        get(person, settings, clock)
    assert [request.path for request in vendor.asked[before:]] == ["/api/v1/things", "/token", "/api/v1/things"]


def test_a_refused_grant_ends_at_once_and_names_the_connection(authority, settings, person, clock, vendor) -> None:
    authority.refused = {"rt0"}
    with pytest.raises(FixCredentials, match="invalid_grant") as failed:
        get(person, settings, clock)
    said = str(failed.value)
    assert "connection acme__eu" in said
    assert "Authorize the app again" in said
    assert failed.value.request_id == "r-77"
    assert not any(secret in said for secret in ("s3cret", "rt0", "mara@oak.example"))
    assert len(vendor.asked) == 1
    with Store.open(settings) as store:
        assert store._read("SELECT * FROM locks") == []


def test_a_token_endpoint_that_stumbles_is_asked_again(authority, settings, person, clock, vendor) -> None:
    vendor.script = [js({}, 503), js({}, 429, Retry_After="5"), web.Response(text='{"access')]
    assert get(person, settings, clock)["token"] == "at1"
    assert 5.0 in clock.slept
    vendor.handler = lambda request, body: js({}, 503)
    clock.at += 1800
    with pytest.raises(RetryLater, match="token endpoint fails"):
        get(person, settings, clock)


def test_nothing_is_spent_that_could_not_be_kept(authority, settings, person, clock, vendor) -> None:
    with pytest.raises(FixSettings, match="STITCHLINE_ENCRYPTION_KEY"):
        get(person, settings.model_copy(update={"encryption_key": None}), clock)
    assert vendor.asked == []


# -- several processes ----------------------------------------------------------------------------------------


@contextmanager
def processes(count: int, *arguments: Any) -> Iterator[list[Any]]:
    """Processes that each make one call, and the pipes through which they say how it went."""
    started = []
    for _ in range(count):
        ours, theirs = PROCESSES.Pipe()
        process = PROCESSES.Process(target=get_and_say, args=(theirs, *arguments))
        process.start()
        theirs.close()
        started.append((process, ours))
    try:
        yield started
    finally:
        for process, ours in started:
            process.kill()
            process.join()
            ours.close()


def test_of_processes_that_renew_at_once_one_spends_the_token(authority, settings, person, clock, vendor) -> None:
    # All of them hold the same token, and the vendor says 401 to each only when all have used it.
    assert get(person, settings, clock)["token"] == "at1"
    authority.refused = {"at1"}
    waiting: list[int] = []

    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        if request.path != "/token" and request.headers["Authorization"] == "Bearer at1":
            waiting.append(1)
            while len(waiting) < 3:
                await asyncio.sleep(0.001)
        return authority.answer(request, body)

    vendor.handler = answer
    authority.lasts = None  # these processes go by the machine's clock
    with processes(3, person, settings) as started:
        said = [ours.recv() for _, ours in started]
    assert [one["token"] for one in said] == ["at2"] * 3
    assert [form["refresh_token"] for form in authority.bought] == ["rt0", "rt1"]


def test_whoever_gets_the_turn_looks_again_before_spending(authority, settings, person, clock) -> None:
    class Slow(Store):
        """Between the look and the lock another session comes, renews and goes."""

        def acquire_lock(self, *arguments: Any) -> bool:
            other = threading.Thread(target=get, args=(person, settings, clock))
            other.start()
            other.join()
            return super().acquire_lock(*arguments)

    async def run(store: Store) -> Any:
        async with Session(ACME, person, store, clock=clock) as session:
            return await session.get_json("/things")

    with Slow.open(settings) as store:
        assert asyncio.run(run(store))["token"] == "at1"
    assert len(authority.bought) == 1


@pytest.mark.parametrize("grace", [0.0, 1800.0])
def test_a_process_killed_before_it_stored_the_answer(authority, settings, person, clock, vendor, grace: float) -> None:
    """The vendor has rotated, nobody knows the new token: where the vendor allows, the old one is shown once more."""
    authority.grace = grace
    pids: list[int] = []

    def rotate_and_kill(request: web.Request, body: bytes) -> web.Response:
        answer = authority.answer(request, body)
        os.kill(pids[0], signal.SIGKILL)
        return answer

    async def wait_for_pid(request: web.Request, body: bytes) -> web.StreamResponse:
        while not pids:
            await asyncio.sleep(0.001)
        return rotate_and_kill(request, body)

    vendor.handler = wait_for_pid
    with processes(1, person, settings, clock) as started:
        process, ours = started[0]
        pids.append(process.pid)
        with pytest.raises(EOFError):
            ours.recv()
    assert kept(settings) == []
    vendor.handler = authority.answer
    # Whoever comes next waits until the dead process's turn is over.
    clock.at += LOCK_SECONDS - 2
    if grace:
        assert get(person, settings, clock)["token"] == "at2"
        assert [form["refresh_token"] for form in authority.bought] == ["rt0", "rt0"]
        assert sum(clock.slept) >= 2
    else:
        with pytest.raises(FixCredentials, match=r"connection acme__eu.*invalid_grant"):
            get(person, settings, clock)
