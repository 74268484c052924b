"""Every vendor's way of refusing ends as a code and a message."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from include.activate.calls import refusal
from include.connect.http import Answer


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"error": "TooManyValues", "description": "Maximum 100"}, ("TooManyValues", "Maximum 100")),
        ({"category": "VALIDATION_ERROR", "message": "bad", "errors": []}, ("VALIDATION_ERROR", "bad")),
        ({"title": "Invalid Resource", "detail": "no", "type": "https://x"}, ("Invalid Resource", "no")),
        ({"error": {"code": "resource_missing", "message": "No such", "type": "x"}}, ("resource_missing", "No such")),
        ({"error": {"code": 190, "message": "Invalid token", "type": "OAuthException"}}, ("190", "Invalid token")),
        ({"errors": [{"field": "contacts[0].email", "message": "bad"}]}, ("contacts[0].email", "bad")),
        ({"ok": False, "error": "no such", "error_code": 40001}, ("40001", "no such")),
        ([{"errorCode": "INVALID_FIELD", "message": "No such column"}], ("INVALID_FIELD", "No such column")),
        ([], ("http_400", "")),
        ("nonsense", ("http_400", "")),
    ],
)
def test_a_refusal_is_read_in_every_shape(said: Any, expected: tuple[str, str]) -> None:
    assert refusal(Answer(400, {}, msgspec.json.encode(said))) == expected


def test_a_refusal_that_is_no_json_keeps_its_status() -> None:
    assert refusal(Answer(413, {}, b"<html>too large</html>")) == ("http_413", "")
