"""Writing the embedded warehouse anew: rows that were deleted leave their bytes in a DuckDB file until that is done."""

from __future__ import annotations

import os

from include.settings import Settings
from include.warehouse.duckdb import POINTER, open_duckdb


def rewrite(settings: Settings) -> None:
    """Copy the warehouse into a new file that takes its place in one rename, and drop the copies of earlier readers.

    Raises:
        WarehouseBusy: another process kept the file for longer than the bounded wait.
    """
    path = settings.root / "warehouse.duckdb"
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    # Held until the rename: nobody may write to what is about to be replaced.
    with open_duckdb(settings) as engine:
        row = engine.connection.execute("SELECT current_database()").fetchone()
        engine.connection.execute("CHECKPOINT")
        engine.connection.execute(f"ATTACH '{fresh}' AS fresh")
        engine.connection.execute(f'COPY FROM DATABASE "{(row or ("",))[0]}" TO fresh')
        engine.connection.execute("DETACH fresh")
        os.replace(fresh, path)
    pointer = path.parent / POINTER
    used = set(pointer.read_text().split()) if pointer.exists() else set()
    for kept in ("read", "base"):
        for old in path.parent.glob(f"{kept}-*.duckdb"):
            if old.name not in used:
                old.unlink(missing_ok=True)
