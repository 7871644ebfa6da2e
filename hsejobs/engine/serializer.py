"""Huey's serializer in JSON, for the values that Huey stores: revocations, chord results, errors."""

from __future__ import annotations

import datetime
from typing import Any

from huey.serializer import Serializer
from huey.utils import Error

from hsejobs import codec


class JsonSerializer(Serializer):
    """JSON, extended by the two other types that Huey stores: datetimes and its ``Error``."""

    def _serialize(self, data: Any) -> bytes:
        return codec.dumps(_plain(data))

    def _deserialize(self, data: bytes) -> Any:
        return _restore(codec.loads(data))


def _plain(data: Any) -> Any:
    if isinstance(data, Error):
        return {"$error": data.metadata}
    if isinstance(data, datetime.datetime):
        return {"$at": data.isoformat()}
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    return data


def _restore(data: Any) -> Any:
    if isinstance(data, dict):
        if data.keys() == {"$error"}:
            return Error(data["$error"])
        if data.keys() == {"$at"}:
            return datetime.datetime.fromisoformat(data["$at"])
        return {key: _restore(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_restore(value) for value in data]
    return data
