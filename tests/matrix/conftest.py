"""The matrix: each failure of Redis, on consumers that do everything they can do."""

from tests.engine.conftest import consumer, trial

__all__ = ["consumer", "trial"]
