"""Consumers serve the metrics themselves: one a machine, and another one when it ends."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from hsejobs.settings import load
from hsejobs.store.client import RedisClient
from hsejobs.watch.metrics import CONTENT_TYPE
from hsejobs.watch.metrics_server import MetricsServer
from tests.store.test_acts import Store
from tests.support import wait_until
