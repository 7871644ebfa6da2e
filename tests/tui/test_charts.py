"""Charts as text: their sizes, their scales, gaps, and both character sets."""

from __future__ import annotations

from typing import Any

import pytest

from hsejobs_tui.core import charts
from hsejobs_tui.core.charts import Line

RISE = [float(n) for n in range(100)]
BLOCKS = "▁▂▃▄▅▆▇█"


def plain(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


def drawn(kind: str, values: Any, *, ascii_only: bool) -> list[str]:
    """The chart of this kind, 20 cells wide."""
    options: dict[str, Any] = {"ascii_only": ascii_only}
    if kind == "spark":
        return [charts.spark(values, 20, **options)]
    if kind == "bars":
        return plain(charts.bar_chart(values, 20, 4, style="ok", **options))
    if kind == "lines":
        return plain(charts.line_chart([(values, "ok"), (values[::-1], "fail")], 20, 4, **options))
    grid, labels = [values, values[::-1]], ["slow", "fast"]
    return plain(charts.heat_map(grid, labels, 20, style="wait", **options))


KINDS = ("spark", "bars", "lines", "heat")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize(
    "values", [RISE, [None] * 9, [], [0, 0], [1], [None, 5, None, 123_456]], ids=str
)
def test_a_chart_has_its_size_whatever_it_shows(kind: str, ascii_only: bool, values: Any) -> None:
    found = drawn(kind, values, ascii_only=ascii_only)
    if kind in ("bars", "lines"):
        assert len({len(line) for line in found}) == 1
        assert len(found) == 4
    if ascii_only:
        assert "".join(found).isascii()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_chart_prints_its_scale(kind: str, ascii_only: bool) -> None:
    text = "\n".join(drawn(kind, [0, 7, 1234], ascii_only=ascii_only))
    # A heat map says from which value its darkest shade is used.
    assert ("208+" if kind == "heat" else "1,234") in text


def test_a_spark_tells_nothing_from_none_and_none_from_0() -> None:
    assert charts.spark([None, 0, 0.01, 4, 8], 5) == " ▁▂▅█ 8"
    assert charts.spark([None, 0, 8], 3, ascii_only=True) == " _# 8"


def test_a_spark_keeps_a_peak_when_it_shortens_and_its_width_when_it_stretches() -> None:
    values = [0.0] * 600
    values[301] = 9
    assert charts.spark(values, 10, scale=None).count("█") == 1
    assert charts.spark([0, 9], 10, scale=None) == "▁▁▁▁▁█████"


def test_a_given_top_is_the_scale() -> None:
    assert charts.spark([50], 1, top=100, scale=charts.percent) == "▅ 10000 %"
    assert charts.spark([0.5], 1, top=1, scale=charts.percent) == "▅ 100 %"


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.001, "<1 %"), (0.31, "31 %"), (0.999, "99 %"), (1, "100 %")]
)
def test_a_percentage_is_0_or_100_only_if_it_is(share: float, text: str) -> None:
    assert charts.percent(share) == text


def test_a_bar_has_its_width_and_shows_every_part_above_0() -> None:
    for part, whole in ((0, 4), (1, 1000), (2, 4), (4, 4), (9, 4), (1, 0)):
        for ascii_only in (False, True):
            assert len(charts.bar(part, whole, 6, ascii_only=ascii_only)) == 6
    assert charts.bar(1, 1000, 6).strip()
    assert charts.bar(1, 1000, 6, ascii_only=True) == "#....."
    assert charts.bar(3, 4, 4) == "███ "
    assert charts.bar(5, 8, 2) == "█▎"


def test_shares_fill_their_width_and_differ_without_color() -> None:
    line = charts.shares([(50, "fail"), (30, "warn"), (20, "dim")], 10)
    assert line == [("█████", "fail"), ("▓▓▓", "warn"), ("▒▒", "dim")]
    assert charts.shares([(0, "fail")], 10) == [(" " * 10, "")]


def test_bars_rise_and_a_gap_is_no_0() -> None:
    found = plain(charts.bar_chart([None, 0, 4, 8], 4, 2, style="ok"))
    assert found == ["8 ┤   █", "0 ┤ ▁██"]


def test_a_line_joins_its_points_and_has_gaps() -> None:
    found = plain(charts.line_chart([([0, 8, None, 8], "ok")], 2, 2))
    assert found == ["8 ┤⢸⠈", "0 ┤⡸ "]


def test_where_lines_meet_the_first_is_on_top() -> None:
    lines = charts.line_chart([([8, 8], "ok"), ([0, 8], "fail")], 2, 1, ascii_only=True)
    assert lines == [[("8 +", "dim"), ("**", "ok")]]


def test_a_heat_map_has_a_row_per_label_and_explains_its_shades() -> None:
    grid: list[list[float | None]] = [[None, 0, 1, 100], [1, 10, 10_000, 0]]
    found = plain(charts.heat_map(grid, [">1s", "<1s"], 4, style="wait"))
    assert found == [">1s │  ░▓│", "<1s │░▒█ │", "     ░ 1+  ▒ 10+  ▓ 100+  █ 1,000+  "]


def test_the_grid_of_histograms_has_the_longest_times_on_top() -> None:
    # Bucket 40 ends at about 1.2 ms, bucket 80 at about 1.2 s.
    grid = charts.bucket_grid([{40: 3, 80: 2}, None, {}], [10, 1000, 10_000])
    assert grid == [[0, None, 0], [2, None, 0], [0, None, 0], [3, None, 0]]


def test_an_axis_shows_both_ends_and_the_marks_between() -> None:
    start = 1_800_000_000_000 // 86_400_000 * 86_400_000
    hour = 3_600_000
    axis = charts.time_axis(start, start + 3 * hour, 30, [(start + hour, "▲"), (0, "x")])
    assert axis == "00:00 ────▲───────────── 03:00"
    assert charts.column_of(start - 1, start, start + hour, 30) is None
    assert charts.column_of(start + hour, start, start + hour, 30) == 29
    assert charts.moment_of(0, start, start + hour, 60) == (start, start + 60_000)


@pytest.mark.parametrize(
    ("values", "better", "word"),
    [
        ([1, 1, 1, 5], "down", "worse"),
        ([1, 1, 5, 1], "down", "better"),
        ([1, 1, 1, 5], "up", "better"),
        ([1, 1, 1, 5], None, "more"),
        ([9, 9, 100, 110], "down", "steady"),
        ([0, 0, 0, 0], "down", "steady"),
        ([None, None, None, 4], "down", ""),
        ([], "down", ""),
    ],
)
def test_a_trend_compares_the_last_quarter_with_the_one_before(
    values: Any, better: Any, word: str
) -> None:
    assert charts.trend(values, better=better) == word
