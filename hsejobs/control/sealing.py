"""Seal (encrypt) secret payload fields at rest if JOBS_SECRET_KEY is set; open them only for the task."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from hsejobs import codec
from hsejobs.errors import SealedElsewhere
from hsejobs.masking import SEALED, is_secret_name


@lru_cache(maxsize=16)
def _box(secret_key: str) -> Any:
    from cryptography.fernet import Fernet

    digest = hashlib.sha256(b"hsejobs payload\0" + secret_key.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def sealer(paths: Sequence[str], secret_key: str | None) -> Callable[[Any], Any] | None:
    """A function that seals a payload's secret fields at these dotted paths; None without a key."""
    return (lambda data: seal(data, paths, secret_key)) if secret_key else None


def seal(data: Any, paths: Sequence[str], secret_key: str | None) -> Any:
    """A copy of the payload with its secret fields sealed; without a key, the payload itself."""
    if not secret_key:
        return data
    return _walk(data, {tuple(path.split(".")) for path in paths}, (), _box(secret_key))


def _walk(data: Any, paths: set[tuple[str, ...]], here: tuple[str, ...], box: Any) -> Any:
    if isinstance(data, dict):
        sealed = {}
        for name, value in data.items():
            there = (*here, str(name))
            if value is not None and (there in paths or is_secret_name(str(name))):
                sealed[name] = {SEALED: box.encrypt(codec.dumps(value)).decode()}
            else:
                sealed[name] = _walk(value, paths, there, box)
        return sealed
    if isinstance(data, list):
        return [_walk(value, paths, here, box) for value in data]
    return data


def unseal(data: Any, secret_keys: Sequence[str]) -> Any:
    """A copy of the payload with its fields decrypted by any of the keys.

    Raises SealedElsewhere if none of them sealed a field.
    """
    if isinstance(data, dict):
        if len(data) == 1 and isinstance(data.get(SEALED), str):
            return _open(data[SEALED], secret_keys)
        return {name: unseal(value, secret_keys) for name, value in data.items()}
    if isinstance(data, list):
        return [unseal(value, secret_keys) for value in data]
    return data


def _open(text: str, secret_keys: Sequence[str]) -> Any:
    from cryptography.fernet import InvalidToken

    for key in secret_keys:
        with contextlib.suppress(InvalidToken):
            return codec.loads(_box(key).decrypt(text.encode()))
    if not secret_keys:
        raise SealedElsewhere(
            "a secret field is sealed; set JOBS_SECRET_KEY to the key that sealed it"
        )
    raise SealedElsewhere(
        "a secret field was sealed with a key that JOBS_SECRET_KEY does not have; add that key"
    )
