"""As much GraphQL as a simulated vendor needs: one operation, its arguments, and what it selects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|(\$?\w+)|([{}():!,=\[\]]))')


class BadQuery(Exception):
    """The document is none, or selects what is not there; the message is the vendor's."""


@dataclass(slots=True)
class Field:
    """One selected field; `arguments` hold values, variables already put in."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    fields: list[Field] = field(default_factory=list)
    alias: str = ""

    @property
    def key(self) -> str:
        """What the answer calls it."""
        return self.alias or self.name

    @property
    def is_connection(self) -> bool:
        """Whether it is a list that is paged."""
        return any(one.name in ("nodes", "edges") for one in self.fields)

    @property
    def node(self) -> Sequence[Field]:
        """What a connection selects of each record."""
        for one in self.fields:
            if one.name == "nodes":
                return one.fields
            if one.name == "edges":
                return next((inner.fields for inner in one.fields if inner.name == "node"), ())
        return ()


def parse(document: str, variables: Mapping[str, Any]) -> list[Field]:
    """The root fields of the document's operation.

    Raises:
        BadQuery: it is not GraphQL, as far as this goes.
    """
    tokens = _Tokens(document)
    if tokens.ahead in ("query", "mutation"):
        tokens.take()
        while tokens.ahead != "{":
            if tokens.take() == "(":
                while tokens.take() != ")":
                    pass
    return _selection(tokens, variables)


def select(record: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, Any]:
    """The selected part of a record.

    Raises:
        BadQuery: the record has no such field.
    """
    found = {}
    for one in fields:
        if one.name not in record:
            raise BadQuery(f"Field '{one.name}' doesn't exist")
        value = record[one.name]
        if one.is_connection:
            shown = [select(item, one.node) for item in value[: one.arguments.get("first", len(value))]]
            value = {"nodes": shown} if one.fields[0].name == "nodes" else {"edges": [{"node": item} for item in shown]}
        elif isinstance(value, dict) and one.fields:
            value = select(value, one.fields)
        elif isinstance(value, list) and one.fields:
            value = [select(item, one.fields) for item in value]
        found[one.key] = value
    return found


def cost(fields: Sequence[Field]) -> int:
    """Points a query asks for: one an object, two a connection, and its records as often as are asked for."""
    points = 0
    for one in fields:
        if one.is_connection:
            points += 2 + int(one.arguments.get("first") or 1) * (1 + cost(one.node))
        elif one.fields:
            points += 1 + cost(one.fields)
    return points


class _Tokens:
    def __init__(self, document: str) -> None:
        self._tokens = self._split(document)
        self.ahead = next(self._tokens)

    def take(self) -> str:
        taken, self.ahead = self.ahead, next(self._tokens)
        if not taken:
            raise BadQuery("syntax error, unexpected end of file")
        return taken

    def want(self, token: str) -> None:
        taken = self.take()
        if taken != token:
            raise BadQuery(f"syntax error, unexpected {taken}")

    def _split(self, document: str) -> Iterator[str]:
        at, end = 0, len(document.rstrip())
        while at < end:
            match = TOKEN.match(document, at)
            if match is None:
                raise BadQuery(f"syntax error at {at}")
            at = match.end()
            yield str(match[1] or match[2] or match[3])
        while True:
            yield ""


def _selection(tokens: _Tokens, variables: Mapping[str, Any]) -> list[Field]:
    tokens.want("{")
    fields: list[Field] = []
    while tokens.ahead != "}":
        one = Field(tokens.take())
        if tokens.ahead == ":":
            tokens.take()
            one.alias, one.name = one.name, tokens.take()
        if tokens.ahead == "(":
            tokens.take()
            while tokens.ahead != ")":
                name = tokens.take()
                tokens.want(":")
                one.arguments[name] = _value(tokens.take(), variables)
                if tokens.ahead == ",":
                    tokens.take()
            tokens.take()
        if tokens.ahead == "{":
            one.fields = _selection(tokens, variables)
        fields.append(one)
    tokens.take()
    return fields


def _value(token: str, variables: Mapping[str, Any]) -> Any:
    if token.startswith("$"):
        return variables.get(token[1:])
    if token.startswith('"'):
        return msgspec.json.decode(token)
    return {"true": True, "false": False, "null": None}.get(token, int(token) if token.isdigit() else token)
