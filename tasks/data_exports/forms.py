"""The formats of an export that are written from front to back: JSON, and CSV in a zip."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from hsejobs import codec
from hsejobs.cells import csv_head, csv_rows
from tasks.data_exports.entities import Entity
from tasks.shared.streams import json_rows
from tasks.shared.zips import ZipStream

#: The manifest of a zip; increase the version for changes that readers must know about.
MANIFEST, MANIFEST_VERSION = "manifest.json", 1

Rows = Sequence[Sequence[Any]]


class Form(Protocol):
    """Writes one file. Only ``encode`` may run beside the other methods."""

    def into(self, write: Callable[[bytes], Any], *, fresh: bool) -> None:
        """Set where to write; ``fresh``: forget what ``restore`` got."""

    def start(self) -> None:
        """Write what comes before the first entity."""

    def begin(self, entity: Entity) -> None:
        """Write what comes before an entity's rows."""

    def encode(self, entity: Entity, rows: Rows) -> bytes:
        """Return rows as ``write`` takes them."""

    def write(self, rows: bytes) -> None:
        """Write encoded rows."""

    def end(self, entity: Entity, rows: int) -> None:
        """Write what comes after an entity's rows."""

    def finish(self) -> None:
        """Write what comes after the last entity."""

    def flush(self) -> None:
        """End a piece after some rows: what follows does not depend on what is in memory."""

    def state(self) -> dict[str, Any]:
        """Return what ``restore`` needs, just after ``flush``; JSON."""

    def restore(self, state: dict[str, Any]) -> None:
        """Continue after some rows of an entity. Then ``replay`` gets all that was written."""

    def replay(self, piece: bytes) -> None:
        """Take the next bytes of what was written before."""


class JsonForm:
    """One document: ``export``, then a list for each entity, one row per line."""

    def __init__(self, head: dict[str, Any]) -> None:
        self._head = head
        self._comma = b"\n"
        self._write: Callable[[bytes], Any]

    def into(self, write: Callable[[bytes], Any], *, fresh: bool) -> None:
        self._write = write

    def start(self) -> None:
        self._write(codec.dumps({"export": self._head})[:-1])

    def begin(self, entity: Entity) -> None:
        self._write(b",\n" + codec.dumps(entity.name) + b":[")
        self._comma = b"\n"

    def encode(self, entity: Entity, rows: Rows) -> bytes:
        keys = entity.keys
        # Not strict, which would cost 20 % more: the rows were selected with these keys.
        return json_rows(dict(zip(keys, row)) for row in rows)  # noqa: B905

    def write(self, rows: bytes) -> None:
        self._write(self._comma)
        self._write(rows)
        self._comma = b",\n"

    def end(self, entity: Entity, rows: int) -> None:
        self._write(b"\n]")

    def finish(self) -> None:
        self._write(b"}\n")

    def flush(self) -> None:
        """Do nothing: what follows depends on nothing but whether there are rows."""

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        self._comma = b",\n"

    def replay(self, piece: bytes) -> None:
        """Do nothing: the text alone is needed."""


class ZipForm:
    """One CSV file per entity, with formulas escaped; then the manifest."""

    def __init__(self, head: dict[str, Any], at: datetime.datetime) -> None:
        self._head = head
        self._time = at.timetuple()[:6]
        self._listed: list[dict[str, Any]] = []
        self._zip = ZipStream(self._put, self._time)
        self._write: Callable[[bytes], Any]

    def into(self, write: Callable[[bytes], Any], *, fresh: bool) -> None:
        self._write = write
        if fresh:
            self._zip, self._listed = ZipStream(self._put, self._time), []

    def _put(self, data: bytes) -> None:
        self._write(data)

    def start(self) -> None:
        """Do nothing: a zip begins with its first member."""

    def begin(self, entity: Entity) -> None:
        self._zip.begin(_file_name(entity))
        self._zip.write(csv_head(entity.keys))

    def encode(self, entity: Entity, rows: Rows) -> bytes:
        return csv_rows(rows)

    def write(self, rows: bytes) -> None:
        self._zip.write(rows)

    def end(self, entity: Entity, rows: int) -> None:
        size, digest = self._zip.end()
        self._listed.append(
            {
                "name": _file_name(entity),
                "entity": entity.name,
                "rows": rows,
                "bytes": size,
                "sha256": digest,
            }
        )

    def finish(self) -> None:
        # Last, when the sizes and hashes of all other files are known.
        manifest = {
            "formatVersion": MANIFEST_VERSION,
            **self._head,
            "format": "csv",
            "files": self._listed,
        }
        self._zip.begin(MANIFEST)
        self._zip.write(codec.dumps(manifest) + b"\n")
        self._zip.end()
        self._zip.finish()

    def flush(self) -> None:
        self._zip.flush()

    def state(self) -> dict[str, Any]:
        return {"zip": self._zip.state(), "listed": list(self._listed)}

    def restore(self, state: dict[str, Any]) -> None:
        self._zip.restore(state["zip"])
        self._listed = list(state["listed"])

    def replay(self, piece: bytes) -> None:
        self._zip.replay(piece)


def _file_name(entity: Entity) -> str:
    return f"{entity.name}.csv"
