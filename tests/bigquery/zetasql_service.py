"""Google's own SQL engine, ZetaSQL, as a WASM module: compiled once per machine, kept, and called in this process."""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import tzdata
from google.protobuf.message import Message
from wasmtime import Config, Engine, Linker, Module, Store, WasiConfig
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as messages
from zetasql.wasi._pb2.zetasql.proto import options_pb2, simple_catalog_pb2
from zetasql.wasi._pb2.zetasql.public import options_pb2 as language

from include.settings import ROOT

COMPILED = ROOT / ".stitchline" / "zetasql"
NOT_IN_BIGQUERY = (
    "AGGREGATE_FILTERING",
    "ARRAY_AGGREGATION_FUNCTIONS",
    "ARRAY_EQUALITY",
    "ARRAY_FIND_FUNCTIONS",
    "ARRAY_ORDERING",
    "ARRAY_ZIP",
    "DML_RETURNING",
    "FIRST_AND_LAST_N",
    "INSERT_ON_CONFLICT_CLAUSE",
    "JSON_TYPE_COMPARISON",
    "LATERAL_JOIN",
    "LIMIT_OFFSET_EXPRESSIONS",
    "MULTILEVEL_AGGREGATION",
    "SINGLE_TABLE_NAME_ARRAY_PATH",
    "TIMESTAMP_NANOS",
    "TIMESTAMP_PICOS",
    "UUID_TYPE",
)
"""What ZetaSQL knows and BigQuery does not take, as far as somebody could write it by mistake."""
BIGQUERYS_OWN = ("CREATE_VIEWS_WITH_COLUMN_OPTIONS",)
"""What BigQuery takes and ZetaSQL does not count among its finished features."""

Answer = TypeVar("Answer", bound=Message)


class Refused(Exception):
    """ZetaSQL's verdict on a statement, in its words, with line and column."""


class ZetaSQL:
    """One instance of the engine."""

    def __init__(self) -> None:
        engine = _engine()
        self._store = Store(engine)
        zones = WasiConfig()
        zones.preopen_dir(str(Path(tzdata.__file__).parent / "zoneinfo"), "/usr/share/zoneinfo")
        self._store.set_wasi(zones)
        linker = Linker(engine)
        linker.define_wasi()
        self._exports: Any = linker.instantiate(self._store, _module(engine)).exports(self._store)
        self._exports["_initialize"](self._store)

    def call(self, method: str, request: Message, answer: type[Answer]) -> Answer:
        """One call of ZetaSQL's local service.

        Raises:
            Refused: it answers with an error.
        """
        data = request.SerializeToString()
        sent, size = self._run("wasm_malloc", max(len(data), 1)), self._run("wasm_malloc", 4)
        try:
            ctypes.memmove(self._memory() + sent, data, len(data))
            got = self._run(f"ZetaSqlLocalService_{method}", sent, len(data), size)
            if got == 0:
                length = self._run("wasm_get_last_error_size")
                said = ctypes.string_at(self._memory() + self._run("wasm_get_last_error"), length).decode()
                raise Refused(said.partition("Message: ")[2] or said)
            length = int.from_bytes(ctypes.string_at(self._memory() + size, 4), "little")
            read = ctypes.string_at(self._memory() + got, length)
            self._run("wasm_free", got)
            return answer.FromString(read)
        finally:
            self._run("wasm_free", sent)
            self._run("wasm_free", size)

    def _run(self, name: str, *arguments: int) -> int:
        return self._exports[name](self._store, *arguments) or 0

    def _memory(self) -> int:
        return ctypes.addressof(self._exports["memory"].data_ptr().contents)


@cache
def service() -> ZetaSQL:
    """The process's engine; it starts in less than a second once it was compiled."""
    return ZetaSQL()


@cache
def options() -> Any:
    """Options that make ZetaSQL read and compute as BigQuery does."""
    spoken = service().call(
        "GetLanguageOptions", messages.LanguageOptionsRequest(maximum_features=True), options_pb2.LanguageOptionsProto
    )
    spoken.product_mode = language.PRODUCT_EXTERNAL
    spoken.ClearField("supported_statement_kinds")  # it would be queries only
    spoken.reserved_keywords.append("QUALIFY")
    unknown = {language.LanguageFeature.Value(f"FEATURE_{name}") for name in NOT_IN_BIGQUERY}
    known = [each for each in spoken.enabled_language_features if each not in unknown]
    known += [language.LanguageFeature.Value(f"FEATURE_{name}") for name in BIGQUERYS_OWN]
    spoken.enabled_language_features[:] = known
    return options_pb2.AnalyzerOptionsProto(
        language_options=spoken, default_timezone="UTC", error_message_mode=language.ERROR_MESSAGE_ONE_LINE
    )


def empty_catalog() -> Any:
    """A catalog that holds BigQuery's functions and no table."""
    found = simple_catalog_pb2.SimpleCatalogProto(name="warehouse")
    found.builtin_function_options.language_options.CopyFrom(options().language_options)
    return found


def _engine() -> Engine:
    config = Config()
    config.shared_memory = True
    return Engine(config)


def _module(engine: Engine) -> Module:
    """The compiled module; the first process on a machine compiles it (a minute), the others wait and then read it."""
    COMPILED.mkdir(parents=True, exist_ok=True)
    name = f"zetasql-{version('zetasql')}-wasmtime-{version('wasmtime')}-{platform.machine()}"
    kept = COMPILED / name
    with (COMPILED / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            writing = kept.with_name(f"{name}.{os.getpid()}")
            writing.write_bytes(Module.from_file(engine, str(get_wasm_path())).serialize())
            os.replace(writing, kept)
    return Module.deserialize_file(engine, str(kept))
