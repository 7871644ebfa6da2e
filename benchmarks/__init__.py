"""Benchmarks, run by hand: ``python benchmarks/engine.py --help``."""
