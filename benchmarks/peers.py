"""Ways of the peers and of ours: each in an environment and a process of its own, against an API in another process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


@contextmanager
def serving(module: str, *arguments: object) -> Iterator[str]:
    """A process of a module of ours that prints its port and then answers; its address."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def launch(python: str, name: str, home: Path, way: str, url: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start `benchmarks/<name>.py` on one way: it works in `way` of the home and leaves `took.json` beside it."""
    folder = home / "way"
    folder.mkdir(exist_ok=True)
    # Peers get the file alone, so that nothing of ours can be imported by mistake.
    is_ours = python == sys.executable
    script = ["-m", f"benchmarks.{name}"] if is_ours else [str(Path(__file__).with_name(f"{name}.py"))]
    command = [python, *script, way, url, str(folder), *map(str, arguments)]
    env = {**os.environ, "DLT_DATA_DIR": str(home), "DLT_PROJECT_DIR": str(home), "RUNTIME__DLTHUB_TELEMETRY": "false"}
    with (home / "stdout").open("wb") as out, (home / "stderr").open("wb") as err:
        return subprocess.Popen(command, cwd=ROOT if is_ours else home, env=env, stdout=out, stderr=err)


def finished(process: subprocess.Popen[bytes], home: Path) -> dict[str, Any]:
    """What a launched way says it took, when it is done."""
    if process.wait():
        raise RuntimeError(f"{process.args} failed: {(home / 'stderr').read_text().strip()[-2000:]}")
    took: dict[str, Any] = json.loads((home / "took.json").read_text())
    return took
