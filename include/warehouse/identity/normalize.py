"""The one place where identifier values are normalised, as GoogleSQL text wrapped around every rule's output."""

from __future__ import annotations

from include.warehouse.identity.kinds import KINDS

_EDGE_SPACE = r" \t\n\r\u00a0\u200b\ufeff"
"""What stands around pasted values: spaces, tabs, line ends, and the invisible ones of office programs."""


def bare(value_sql: str, prefix: str = "") -> str:
    """GoogleSQL expression of a normalised value without the identity space it begins with."""
    return f"SUBSTR({value_sql}, {len(prefix) + 1})" if prefix else value_sql


def normalized(kind_sql: str, value_sql: str) -> str:
    """GoogleSQL expression of the normalised value; NULL for what is no identifier of that kind.

    Trims every kind; lower-cases email and refuses what is no address; reduces a phone to `+` and 7 to 15
    digits; takes a hash only as 64 hex digits; brings profile links to one spelling.

    Args:
        kind_sql: SQL of the kind, a column or a literal.
        value_sql: SQL of the raw value, STRING.
    """
    trimmed = f"TRIM(NORMALIZE({value_sql}, NFC), '{_EDGE_SPACE}')"
    address = f"REGEXP_REPLACE(LOWER({trimmed}), r'^mailto:', '')"
    dialled = f"REGEXP_REPLACE(REGEXP_REPLACE(LOWER({trimmed}), r'(ext|x|#).*$', ''), r'[^0-9+]', '')"
    number = f"REGEXP_REPLACE({dialled}, r'^00', '+')"
    digest = f"IF(REGEXP_CONTAINS(LOWER({trimmed}), r'^[0-9a-f]{{64}}$'), LOWER({trimmed}), NULL)"
    hashes = " ".join(f"WHEN '{kind.name}' THEN {digest}" for kind in KINDS if kind.hash_of)
    profile = f"REGEXP_REPLACE(REGEXP_REPLACE(LOWER({trimmed}), r'^(https?://)?(www\\.)?', ''), r'[/?#]+$', '')"
    return f"""CASE {kind_sql}
    WHEN 'email' THEN IF(
      REGEXP_CONTAINS({address}, r'^[^@\\s,;<>"]+@[^@\\s,;<>".]+(\\.[^@\\s,;<>".]+)*\\.[^@\\s,;<>".]{{2,}}$')
      AND LENGTH({address}) <= 254, {address}, NULL)
    {hashes}
    WHEN 'phone' THEN IF(REGEXP_CONTAINS({number}, r'^\\+?[0-9]{{7,15}}$'), {number}, NULL)
    WHEN 'linkedin_url' THEN NULLIF({profile}, '')
    WHEN 'twitter_handle' THEN NULLIF(REGEXP_REPLACE(LOWER({trimmed}), r'^@', ''), '')
    ELSE IF(ENDS_WITH({trimmed}, '/'), NULL, NULLIF({trimmed}, ''))
  END"""


def name_key(name_sql: str) -> str:
    """GoogleSQL expression by which names are compared: lower case, letters only; NULL for none."""
    return f"NULLIF(REGEXP_REPLACE(LOWER(NORMALIZE({name_sql}, NFC)), r'[\\s\\d[:punct:]]+', ''), '')"
