"""Calls to an AWS service through boto3, with the pace, retries and errors that every other vendor's calls have."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, wait_random_exponential

from include.connect.budget import with_overrides
from include.connect.connection import Connection
from include.connect.errors import FixCredentials, FixSettings, RetryLater
from include.connect.http import CONNECT_SECONDS, REQUEST_SECONDS, CallRefused, Session
from include.connect.source import Budget

log = logging.getLogger(__name__)

THROTTLED = frozenset(
    (
        *("ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException"),
        *("ThrottlingException", "Throttling", "ThrottledException", "RequestLimitExceeded"),
    )
)
REFUSED = frozenset(
    (
        *("UnrecognizedClientException", "InvalidSignatureException", "IncompleteSignatureException"),
        *("IncompleteSignature", "MissingAuthenticationToken", "MissingAuthenticationTokenException"),
        *("InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredTokenException", "ExpiredToken"),
        *("AccessDeniedException", "AccessDenied", "AuthorizationError", "OptInRequired", "KMSAccessDeniedException"),
    )
)
_backoff = wait_random_exponential(multiplier=0.5, max=30)


class AwsRefused(CallRefused):
    """AWS understood the call and said no; `code` says why."""

    def __init__(self, code: str, *, where: str, request_id: str | None, status: int) -> None:
        super().__init__(
            f"AWS refused the call ({code})",
            where=where,
            fix="Check the connection's fields against the service's reference.",
            request_id=request_id,
            status=status,
        )
        self.code = code


def open_client(service: str, connection: Connection, endpoint: str) -> Any:
    """A boto3 client that tries once; without a login, credentials are found where AWS's own tools look.

    Raises:
        FixSettings: boto3 is not installed.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise FixSettings(
            "boto3 is not installed", where=f"connection {connection.id}", fix="Install stitchline[aws]."
        ) from None
    # Session tells the pace and repeats; two layers of retries would multiply.
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=CONNECT_SECONDS, read_timeout=REQUEST_SECONDS)
    session = boto3.session.Session(
        aws_access_key_id=connection.login or None,
        aws_secret_access_key=connection.password or None,
        aws_session_token=connection.extra.get("session_token"),
        region_name=connection.fill("{region}"),
    )
    return session.client(service, endpoint_url=endpoint, config=config)


async def call(
    session: Session,
    client: Any,
    operation: str,
    arguments: dict[str, Any],
    *,
    holds: str,
    budget: Budget | None = None,
    label: str = "",
) -> dict[str, Any]:
    """Make one call that only reads, repeating it through passing faults for a bounded time.

    Args:
        session: whose account, pace and counters it is.
        client: of `open_client`.
        operation: the client's method.
        arguments: its arguments.
        holds: what every whole answer has; of one that was cut short, boto3 makes an empty one.
        budget: what the call counts against.
        label: what to call this in messages.

    Raises:
        FixCredentials: AWS refused who we are, or what we may do.
        AwsRefused: AWS refused the call itself.
        RetryLater: it kept failing for the whole time allowed.
    """
    effective = with_overrides(budget, session.connection)
    deadline = session.clock.now() + session.total_seconds
    state = RetryCallState(AsyncRetrying(), None, (), {})
    where = f"{session.where} {label}".rstrip()
    while True:
        async with session.gate.passing(effective, deadline):
            session.counters.requests += 1
            try:
                answer: dict[str, Any] = await asyncio.to_thread(partial(getattr(client, operation), **arguments))
            except Exception as error:
                what, is_throttled = _passing(error, session, where)
            else:
                if holds in answer:
                    session.gate.answered()
                    return answer
                session.gate.failed()
                what, is_throttled = "the answer is not whole JSON", False
        wait = _backoff(state)
        if session.clock.now() + wait > deadline:
            raise RetryLater(f"{what} {state.attempt_number} times", where=where)
        log.info("waiting %.2f s where=%s attempt=%d: %s", wait, where, state.attempt_number, what)
        session.counters.retries += 1
        if is_throttled:
            session.counters.throttled += 1
            session.counters.throttled_seconds += wait
            session.gate.hold(effective, wait)
        state.attempt_number += 1
        await session.clock.sleep(wait)


def _passing(error: Exception, session: Session, where: str) -> tuple[str, bool]:
    """What a passing fault was, and whether it was too many calls; anything else is raised by its remedy."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    connection = session.connection
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        raise FixCredentials(
            "there are no AWS credentials",
            where=f"connection {connection.id}",
            fix="Write the access key's id and secret as login and password, or give the machine a role.",
        ) from None
    if isinstance(error, exceptions.ClientError):
        about = error.response.get("ResponseMetadata", {})
        code, status = str(error.response.get("Error", {}).get("Code")), int(about.get("HTTPStatusCode", 0))
        request_id = about.get("RequestId")
        if code in THROTTLED or status == 429:
            session.gate.answered()
            return "AWS said: too many calls", True
        if status >= 500:
            session.gate.failed()
            return f"AWS answered {status}", False
        session.gate.answered()
        if code in REFUSED:
            raise FixCredentials(
                f"AWS refused the credentials or their permissions ({code})",
                where=f"connection {connection.id}, {where}",
                fix=f"Renew the credentials of connection {connection.id}, and check what they may read.",
                request_id=request_id,
            ) from None
        raise AwsRefused(code, where=where, request_id=request_id, status=status) from None
    if isinstance(error, exceptions.ParamValidationError):
        raise AwsRefused("ParamValidation", where=where, request_id=None, status=400) from None
    if isinstance(error, exceptions.BotoCoreError | ResponseParserError | OSError | ValueError):
        session.gate.failed()
        return f"the call failed ({type(error).__name__})", False
    raise error
