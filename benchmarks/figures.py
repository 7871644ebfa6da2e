"""Medians, percentiles, ratios, and the two forms of the report."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

#: Parts of the names of figures that are better when higher; all others are better when lower.
HIGHER_IS_BETTER = frozenset({"jobs/s", "jobs_a_second"})
#: What is counted, not compared.
COUNTED = frozenset({"error", "results", "lost"})


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the percentile by the nearest-rank method."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def medians(samples: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the median of each figure over the successful samples."""
    good = [s for s in samples if "error" not in s]
    names = list(dict.fromkeys(name for s in good for name in s))
    return {n: _short(statistics.median(s[n] for s in good if n in s)) for n in names}


def spreads(samples: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    """Return the lowest and the highest of each figure over the successful samples."""
    good = [s for s in samples if "error" not in s]
    names = list(dict.fromkeys(name for s in good for name in s))
    found = {n: [s[n] for s in good if n in s] for n in names}
    return {n: [_short(min(all_)), _short(max(all_))] for n, all_ in found.items()}


def ratios(
    ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Ours over theirs, round by round, with the median of these ratios.

    A pair in which either failed, lacks the figure, or theirs is 0 gives no ratio.
    """
    found: dict[str, list[float]] = {}
    for a, b in zip(ours, theirs, strict=True):
        for name, value in a.items():
            if name not in COUNTED and b.get(name):
                found.setdefault(name, []).append(_short(value / b[name]))
    return {
        name: {
            "median": _short(statistics.median(all_)),
            "rounds": all_,
            "better": "above 1" if name in HIGHER_IS_BETTER else "below 1",
        }
        for name, all_ in found.items()
    }


def rounded(sample: dict[str, Any]) -> dict[str, Any]:
    return {k: _short(v) if isinstance(v, (int, float)) else v for k, v in sample.items()}


def _short(value: float) -> float:
    """Round to four digits, or to an integer above 1,000."""
    return round(value) if abs(value) >= 1000 else float(f"{value:.4g}")


def table(report: dict[str, Any]) -> str:
    """Return the report's medians and ratios as text."""
    measured = (n for m in report["measures"].values() for n in m["contestants"])
    names = list(dict.fromkeys([*measured, *report["contestants"]]))
    pairs = list(dict.fromkeys(p for m in report["measures"].values() for p in m["ratios"]))
    rows = [["", *names, *pairs]]
    for measure, results in report["measures"].items():
        by_name = results["contestants"]
        figures = dict.fromkeys(f for n in by_name for f in by_name[n].get("median", {}))
        for figure in figures or ["-"]:
            row = [f"{measure} {figure}"]
            for name in names:
                row.append(_cell(by_name.get(name, {}), figure))
            for pair in pairs:
                ratio = results["ratios"].get(pair, {}).get(figure)
                row.append(f"{ratio['median']:g}" if ratio else "-")
            rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    for name, about in report["contestants"].items():
        if "skipped" in about:
            lines.append(f"SKIPPED {name}: {about['skipped']}")
    for measure, results in report["measures"].items():
        for name, result in results["contestants"].items():
            errors = [s["error"] for s in result["samples"] if "error" in s]
            lines += [f"FAILED {measure}, {name}: {error}" for error in dict.fromkeys(errors)]
    return "\n".join(line.rstrip() for line in lines)


def _cell(result: dict[str, Any], figure: str) -> str:
    value = result.get("median", {}).get(figure)
    if value is not None:
        low, high = result["spread"][figure]
        text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"
        return text if low == high else f"{text} ({low:g}-{high:g})"
    return "failed" if any("error" in s for s in result.get("samples", [])) else "-"
