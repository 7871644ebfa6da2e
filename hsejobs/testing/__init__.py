"""Tests of applications without Redis: ``with testing() as jobs``; see docs/testing.md."""

from hsejobs.testing.kit import TestJobs, testing

__all__ = ["TestJobs", "testing"]
