"""The installation's own key, for who sets none: 32 random bytes in ``JOBS_HOME``.

A light leaf: the standard library only.
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
    """The key kept in *home*, None when none was made.

    Raises SettingsError, which names JOBS_HOME, when the file cannot be read, is no key, or is
    open to others.
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
        raise SettingsError("JOBS_HOME", f"its {FILE_NAME} is no key; remove it for a new one")
    if found.st_mode & 0o077:
        raise SettingsError("JOBS_HOME", f"its {FILE_NAME} is open to others; chmod 600 it")
    return key


def ensure_secret(home: Path) -> bytes:
    """The key kept in *home*; made now, with mode 0600, if there is none.

    Of several processes that make it at once one wins, and all return its key. Raises
    SettingsError as ``read_secret``, and when it cannot be written.
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
            # A link appears with its content, and never in the place of another.
            with contextlib.suppress(FileExistsError):
                os.link(temporary, home / FILE_NAME)
        finally:
            temporary.unlink()
    except OSError as error:
        raise SettingsError("JOBS_HOME", f"no key can be kept in it: {error.strerror}") from None
    made = read_secret(home)
    if made is None:
        raise SettingsError("JOBS_HOME", f"its {FILE_NAME} was removed while it was made")
    return made
