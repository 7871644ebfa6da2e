"""The matrix: each way in which Redis says no, on consumers that do all that they can do."""

from tests.engine.conftest import consumer, trial

__all__ = ["consumer", "trial"]
