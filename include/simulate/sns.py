"""Amazon SNS: topics that take up to ten messages a call and answer, in XML, for each of them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import msgspec
from starlette.responses import Response

from include.simulate.limits import Clock
from include.simulate.people import Population
from include.simulate.vendor import Call, Refused, Route, Vendor, new_id, read

ACCESS_KEY, SECRET_KEY = "AKIADEMO000000000000", "sns-demo"
REGION = "eu-central-1"
ARN = f"arn:aws:sns:{REGION}:123456789012:"
MOST, MOST_BYTES, PAGE = 10, 262_144, 100
ENTRY = re.compile(r"PublishBatchRequestEntries\.member\.(\d+)\.(.+)")


class Sns(Vendor):
    """The topics of one account; `/held` is its own console, and a subscriber that keeps every message."""

    name = "sns"
    media_type = "text/xml"

    def __init__(self, population: Population, clock: Clock, *, unlimited: bool = False) -> None:
        super().__init__(population, clock, unlimited=unlimited)
        self.topics: dict[str, list[dict[str, Any]]] = {}
        self._seen: set[tuple[str, str]] = set()

    def routes(self) -> list[Route]:
        """One address; a field of the form says what is asked."""
        asked = Route("POST", "/api", self._asked, is_write=lambda call: b"Action=PublishBatch" in call.body)
        return [asked, read("/held", self._held), read("/held", self._by_hand, "POST")]

    def normalised(self, path: str) -> str:
        """Clients end an address with a slash."""
        return path.rstrip("/")

    def accepts(self, call: Call) -> bool:
        """A signature of the account's key."""
        given = call.headers.get("authorization", "")
        return call.path == "/held" or given.startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/")

    def refuse(self, call: Call) -> Response:
        """403 with the code of an unknown key."""
        return self._refusal("InvalidClientTokenId", "The security token included in the request is invalid.", 403)

    def too_many(self, call: Call, retry_after: int | None) -> Response:
        """429."""
        return self._refusal("Throttled", "Rate exceeded", 429)

    def broken(self, call: Call) -> Response:
        """500."""
        return self._refusal("InternalError", "Internal error", 500)

    def missing(self, call: Call) -> Response:
        """404 for an action or a topic that is not there."""
        return self._refusal("NotFound", "Topic does not exist", 404)

    def _refusal(self, code: str, message: str, status: int = 400) -> Response:
        kind = "Sender" if status < 500 else "Receiver"
        body = f"<Error><Type>{kind}</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        return self._xml(f"<ErrorResponse>{body}<RequestId>{new_id()}</RequestId></ErrorResponse>", status)

    def _xml(self, text: str, status: int = 200) -> Response:
        return Response(f'<?xml version="1.0"?>{text}', status, None, self.media_type)

    def _answer(self, action: str, inner: str) -> Response:
        about = f"<ResponseMetadata><RequestId>{new_id()}</RequestId></ResponseMetadata>"
        return self._xml(f"<{action}Response><{action}Result>{inner}</{action}Result>{about}</{action}Response>")

    def _asked(self, call: Call) -> Response:
        form = {name: values[0] for name, values in parse_qs(call.body.decode()).items()}
        if form.get("Action") == "ListTopics":
            return self._list(int(form.get("NextToken") or 0))
        if form.get("Action") == "PublishBatch":
            return self._publish(call, form)
        return self._refusal("InvalidAction", "The action is not valid for this endpoint.")

    def _list(self, start: int) -> Response:
        names = list(self.topics)
        found = "".join(f"<member><TopicArn>{ARN}{name}</TopicArn></member>" for name in names[start : start + PAGE])
        more = f"<NextToken>{start + PAGE}</NextToken>" if start + PAGE < len(names) else ""
        return self._answer("ListTopics", f"<Topics>{found}</Topics>{more}")

    def _publish(self, call: Call, form: dict[str, str]) -> Response:
        topic = form.get("TopicArn", "").removeprefix(ARN)
        if topic not in self.topics:
            raise Refused(self.missing(call))
        entries: dict[str, dict[str, str]] = {}
        for name, value in form.items():
            match = ENTRY.fullmatch(name)
            if match is not None:
                entries.setdefault(match[1], {})[match[2]] = value
        if not 1 <= len(entries) <= MOST:
            raise Refused(self._refusal("TooManyEntriesInBatchRequest", f"1 to {MOST} entries"))
        if sum(len(entry["Message"].encode()) for entry in entries.values()) > MOST_BYTES:
            raise Refused(self._refusal("BatchRequestTooLong", "The length of all messages exceeds the limit."))
        good, bad = "", ""
        for entry in entries.values():
            message = msgspec.json.decode(entry["Message"])
            if self.rejects(message["fields"].get("email")):
                told = "<Code>InvalidParameter</Code><Message>Invalid parameter</Message>"
                bad += f"<member><Id>{entry['Id']}</Id>{told}<SenderFault>true</SenderFault></member>"
                continue
            good += f"<member><Id>{entry['Id']}</Id><MessageId>{new_id()}</MessageId></member>"
            if topic.endswith(".fifo"):
                key = (topic, entry["MessageDeduplicationId"])
                if key in self._seen:
                    continue
                self._seen.add(key)
            self.topics[topic].append(message)
        return self._answer("PublishBatch", f"<Successful>{good}</Successful><Failed>{bad}</Failed>")

    def _held(self, call: Call) -> Response:
        return Response(msgspec.json.encode(self.topics), media_type="application/json")

    def _by_hand(self, call: Call) -> Response:
        """Make a topic, and publish what is given."""
        given = self.json(call)
        self.topics.setdefault(given["topic"], []).extend(given.get("messages") or ())
        return Response(b"{}", media_type="application/json")
