"""The installation's own secret key, used when none is set: 32 random bytes in ``JOBS_HOME``.

Imports only the standard library.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from hsejobs.errors import SettingsError

FILE_NAME = "secret.key"
KEY_BYTES = 32


def read_secret(home: Path) -> bytes | None:
    """Reads the key in *home*; returns None when there is none.

    Raises SettingsError for JOBS_HOME when the file cannot be read, is not a key, or is accessible
    to other users.
    """
    try:
        handle = os.open(home / FILE_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(
            "JOBS_HOME", f"its {FILE_NAME} cannot be read: {error.strerror}"
        ) from None
    try:
        found = os.fstat(handle)
        key = os.read(handle, KEY_BYTES + 1) if stat.S_ISREG(found.st_mode) else b""
    finally:
        os.close(handle)
    if len(key) != KEY_BYTES:
        raise SettingsError(
            "JOBS_HOME", f"its {FILE_NAME} is not a valid key; remove it to create a new one"
        )
    if found.st_mode & 0o077:
        raise SettingsError(
            "JOBS_HOME", f"its {FILE_NAME} is accessible to other users; run chmod 600 on it"
        )
    return key


def ensure_secret(home: Path) -> bytes:
    """Reads the key in *home*; creates it with mode 0600 if there is none.

    If several processes create it at once, all return the same key. Raises SettingsError as
    ``read_secret`` does, and when the key cannot be written.
    """
    known = read_secret(home)
    if known is not None:
        return known
    temporary = home / f".{FILE_NAME}.{secrets.token_hex(8)}"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(handle, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(handle)
            # A link appears with its content complete, and never replaces an existing file.
            with contextlib.suppress(FileExistsError):
                os.link(temporary, home / FILE_NAME)
        finally:
            temporary.unlink()
    except OSError as error:
        raise SettingsError(
            "JOBS_HOME", f"the key cannot be written to it: {error.strerror}"
        ) from None
    made = read_secret(home)
    if made is None:
        raise SettingsError("JOBS_HOME", f"its {FILE_NAME} was removed while it was being created")
    return made
