"""Benchmarks, run manually: ``python benchmarks/engine.py --help``."""
