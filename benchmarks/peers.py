"""Environments of the peers: their versions are no business of ours, so each lives in one of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from include.settings import ROOT


def environment(name: str, packages: Sequence[str]) -> Path:
    """Python of the environment with these packages, made once and again when the packages change."""
    folder = ROOT / ".stitchline" / "benchmark-peers" / name
    python, wanted, noted = folder / "bin" / "python", "\n".join(packages), folder / "installed"
    if not (noted.exists() and noted.read_text() == wanted):
        subprocess.run([uv(), "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv(), "pip", "install", "-q", "--python", str(python), *packages], check=True)
        noted.write_text(wanted)
    return python


def uv() -> str:
    """Where uv is: on the path, or as the Makefile fetches it."""
    return shutil.which("uv") or str(ROOT / ".venv-tools" / "bin" / "uv")
