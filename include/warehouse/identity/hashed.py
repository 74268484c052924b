"""Hashes that meet their clear values: an address or a number and its SHA-256 are one identifier in two spellings."""

from __future__ import annotations

from include.warehouse.identity.kinds import KINDS
from include.warehouse.identity.normalize import bare

HASHES: tuple[tuple[str, str], ...] = tuple((kind.name, kind.hash_of) for kind in KINDS if kind.hash_of)
"""Kind of the hash, kind of what was hashed."""
HASH_KINDS = ", ".join(f"'{name}'" for name, _ in HASHES)
"""The kinds of hashes as GoogleSQL, for `kind IN (...)`."""


def meetings(columns: str, clear: str, hashed: str, space: str, parameter: str = "@space") -> str:
    """SELECT of every row `c` of clear values with every row `h` of hashes that is the SHA-256 of its value.

    Args:
        columns: what to select of `c` and `h`.
        clear: table, or subquery in brackets, with `kind` and `value`.
        hashed: the same; may be the same table.
        space: what every value begins with.
        parameter: the query's parameter that holds it.
    """
    return " UNION DISTINCT ".join(
        f"""SELECT {columns}
        FROM {clear} AS c
        INNER JOIN {hashed} AS h
          ON c.kind = '{kind}' AND h.kind = '{name}' AND h.value = CONCAT({parameter}, TO_HEX(SHA256({spelling})))"""
        for name, kind in HASHES
        for spelling in _spellings(kind, bare("c.value", space))
    )


def hashes_of(columns: str, clear: str, space: str, parameter: str = "@space") -> str:
    """SELECT of the hashes that every row `c` of clear values may be met under: `columns`, `kind`, `value`.

    Args:
        columns: what else to select of `c`.
        clear: table, or subquery in brackets, with `kind` and `value`.
        space: what every value begins with.
        parameter: the query's parameter that holds it.
    """
    return " UNION ALL ".join(
        f"""SELECT {columns}, '{name}' AS kind, CONCAT({parameter}, TO_HEX(SHA256({spelling}))) AS value
        FROM {clear} AS c
        WHERE c.kind = '{kind}'"""
        for name, kind in HASHES
        for spelling in _spellings(kind, bare("c.value", space))
    )


def _spellings(kind: str, value: str) -> tuple[str, ...]:
    """What is hashed of a value: ad platforms take a phone's digits with the plus before them, or without."""
    return (value, f"LTRIM({value}, '+')") if kind == "phone" else (value,)
