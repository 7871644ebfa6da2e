"""Compare hsejobs with plain Huey and Bull 4 on this machine.

Run it in any folder::

    python benchmarks/engine.py
    python benchmarks/engine.py --only drain1,drain2 --rounds 5
    python benchmarks/engine.py --jobs 2000 --rounds 1 --only pickup --peers huey

Prints one JSON document on stdout and a table for people on stderr. What is measured and
how is described in ``benchmarks/measures.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from benchmarks.run import main

    sys.exit(main())
