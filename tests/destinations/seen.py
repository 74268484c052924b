"""Every destination as its vendor's own people see it."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from vendors import FIRST, Seen, Simulator

from include.simulate.webhook import SECRET as HOOK_SECRET


def hook_seen(simulator: Simulator) -> dict[str, Any]:
    found: dict[str, Any] = simulator.call("GET", "/webhook/seen")
    return found


def _hook_people(simulator: Simulator) -> list[dict[str, Any]]:
    return [{"customer_id": f"c{number:05d}", "email": f"person{number}@example.com"} for number in range(1200)]


def _hook_held(simulator: Simulator, name: str) -> set[str]:
    return set(hook_seen(simulator)["lists"].get(name, ()))


def _hook_by_hand(simulator: Simulator, name: str, address: str) -> None:
    body = {"list": name, "rows": [{"customer_id": address, "operation": "enter", "fields": {}}]}
    proof = hmac.new(HOOK_SECRET.encode(), b"1." + json.dumps(body).encode(), hashlib.sha256).hexdigest()
    simulator.call("POST", "/webhook/catch", {"X-Stitchline-Signature": f"t=1,v1={proof}"}, body)


SEEN = {
    **FIRST,
    "webhook": Seen("tag: {}, fields: {{email: email}}", _hook_people, _hook_held, _hook_by_hand, makes=0, batch=100),
}
