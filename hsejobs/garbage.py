"""Python's search for reference cycles, left out where it finds none."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

#: New objects after which Python begins a search: never. Not ``gc.disable``, which what is imported may use
#: permanently, and not 0, which it may set.
_NEVER = 2**31 - 1
_usual = gc.get_threshold()[0]


def _resume() -> None:
    """Searches again, unless what was imported has set a number of its own."""
    if gc.get_threshold()[0] == _NEVER:
        gc.set_threshold(_usual)


# A process that was forked meanwhile does not come to the end of the pause.
os.register_at_fork(after_in_child=_resume)


@contextmanager
def not_sought(*, stays: bool = False) -> Iterator[None]:
    """Searches for no garbage meanwhile: among what is made at once, and kept, there is none.

    To import modules takes a quarter less. ``stays``: what was made by then, such as modules, is left out
    of all later searches; for the start of a program alone, because what is garbage then stays as well.
    Does nothing where the search is paused already, also by another thread.
    """
    global _usual
    usual = gc.get_threshold()[0]
    if usual == _NEVER:
        yield
        return
    _usual = usual
    gc.set_threshold(_NEVER)
    try:
        yield
    finally:
        if stays:
            gc.freeze()
        _resume()
