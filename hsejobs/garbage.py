"""Python's search for reference cycles, left out where it finds none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def not_sought(*, stays: bool = False) -> Iterator[None]:
    """Searches for no garbage meanwhile: among what is made at once, and kept, there is none.

    To import modules takes a quarter less. ``stays``: what was made by then, such as modules, is left out
    of all later searches; for the start of a program alone, because what is garbage then stays as well.
    Does nothing where the search is off already: another thread may have paused it.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if stays:
            gc.freeze()
        gc.enable()
