"""A rule that BigQuery adds to GoogleSQL and no analyzer here knows: what it joins by must be an equality.

"LEFT OUTER JOIN cannot be used without a condition that is an equality of fields from both sides of the join", and
the same for RIGHT and FULL joins and for the joins it makes of EXISTS.
"""

from __future__ import annotations

from sqlglot import exp

from include.warehouse.render import parse


def unequal(sql: str) -> list[str]:
    """The outer joins and the correlated EXISTS of a statement that BigQuery would refuse."""
    tree = parse(sql)
    found = [
        join.sql(dialect="bigquery")
        for join in tree.find_all(exp.Join)
        if join.side and not join.args.get("using") and not _is_joinable(join.args.get("on"), {join.alias_or_name})
    ]
    for exists in tree.find_all(exp.Exists):
        own = {source.alias_or_name for source in exists.this.find_all(exp.Table, exp.Subquery)}
        condition = exists.this.args.get("where")
        outside = {column.table for column in exists.find_all(exp.Column)} - own - {""}
        if outside and not _is_joinable(condition.this if condition else None, own):
            found.append(exists.sql(dialect="bigquery"))
    return found


def _is_joinable(condition: exp.Expr | None, side: set[str]) -> bool:
    """Whether one of the conditions that must all hold compares something of this side with something of the other."""
    if condition is None:
        return False
    parts = condition.flatten() if isinstance(condition, exp.And) else [condition]
    for part in (part.unnest() for part in parts):
        if isinstance(part, exp.And) and _is_joinable(part, side):
            return True
        if isinstance(part, exp.EQ):
            left, right = ({column.table for column in end.find_all(exp.Column)} for end in (part.left, part.right))
            if left and right and ((left <= side and not right & side) or (right <= side and not left & side)):
                return True
    return False
