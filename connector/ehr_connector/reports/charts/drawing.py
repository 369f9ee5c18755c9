"""Charts as SVG from the server: no script, nothing inline, in the colours of the page. Pure.

pygal computes the picture. What our policy of content forbids (its style, script and `style` attributes) is taken out, and
our style sheet paints it; so it follows the dark scheme, and forced colours. Beside every chart stands its table: nobody
depends on the picture.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor, log10
from typing import Any
from xml.etree import ElementTree as ET

import pygal  # pyright: ignore[reportMissingTypeStubs]  (it has none)
from markupsafe import Markup
from pygal.style import Style  # pyright: ignore[reportMissingTypeStubs]  (it has none)

# pygal finds its maps by an import hook of old Python, of which every later import of anything would warn. We draw no maps.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != pygal.__name__]

_WIDTH = 560
_HEIGHT = 240
_BAR_HEIGHT = 34
"""Of one line of a chart with bars that lie."""
_AROUND_BARS = 60
_AT_THE_END = 56
"""Right of bars that lie, for the number of the longest."""
_FONT_SIZE = 13
_TICKS = 5
_X_LABELS_MAX = 7
_LABEL_MAX = 28
"""Letters of a name beside a bar; the table has the whole name."""
_NICE_STEPS = (1, 2, 2.5, 5, 10)
_DROPPED = frozenset({"titles", "plot text-overlay", "plot tooltip-overlay"})
_DESCRIBED = "desc"


class Tone(StrEnum):
    """What a series means; the style sheet has a colour for each."""

    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    MUTED = "muted"
    SOFT = "soft"
    ACCENT = "accent"


class Shape(StrEnum):
    """How numbers are shown."""

    COLUMNS = "columns"
    """Over time, one on the other."""
    BARS = "bars"
    """By name, one after the other."""
    LINES = "lines"
    """Over time, each for itself."""


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers of one kind, one for each label of the chart."""

    name: str
    tone: Tone
    values: Sequence[float | None]


_SHAPES: Mapping[Shape, Callable[..., Any]] = {
    Shape.COLUMNS: pygal.StackedBar,
    Shape.BARS: pygal.HorizontalStackedBar,
    Shape.LINES: pygal.Line,
}


def chart(
    shape: Shape, labels: Sequence[str], series: Sequence[Series], *, title: str, form: Callable[[float], str]
) -> Markup:
    """Return the SVG of a chart.

    Args:
        shape: How the numbers are shown.
        labels: What the values of each series belong to.
        series: The numbers.
        title: What an assistive technology says of the picture.
        form: How a number is written.
    """
    lying = shape is Shape.BARS
    ticks = ticks_to(_highest(shape, series))
    drawn = _SHAPES[shape](
        css=(),
        js=(),
        no_prefix=True,
        classes=("chart", f"chart-{shape}"),
        style=Style(label_font_size=_FONT_SIZE, major_label_font_size=_FONT_SIZE, font_family="sans-serif"),
        width=_WIDTH,
        height=_AROUND_BARS + _BAR_HEIGHT * len(labels) if lying else _HEIGHT,
        margin=4,
        margin_right=_AT_THE_END if lying else 28,
        show_legend=False,
        y_labels=ticks,
        range=(0, ticks[-1]),
        value_formatter=form,
        truncate_label=_LABEL_MAX if lying else -1,
        show_minor_x_labels=lying,
        x_labels_major_every=1 if lying else max(1, ceil(len(labels) / _X_LABELS_MAX)),
        print_values=False,
        dots_size=3,
    )
    # Bars that lie are drawn from below.
    order = slice(None, None, -1) if lying else slice(None)
    drawn.x_labels = labels[order]
    for one in series:
        drawn.add(one.name, list(one.values[order]))
    root: ET.Element = drawn.render_tree()
    _clean(root, series)
    if lying:
        _write_numbers(root, [form(sum(value or 0 for value in column)) for column in _columns(series)])
    root.attrib |= {"role": "img", "aria-label": title, "focusable": "false"}
    root.attrib.pop("id", None)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 (ElementTree has escaped every text)


def _clean(root: ET.Element, series: Sequence[Series]) -> None:
    """Leave what is to be seen: shapes with classes, and for each its number as a title."""
    for parent in list(root.iter()):
        for child in list(parent):
            described = parent.get("class") in {"bar", "dots"}
            if (
                callable(child.tag)  # a comment
                or child.tag in {"defs", "style", "script"}
                or (child.tag == "title" and not described)
                or child.get("class") in _DROPPED
            ):
                parent.remove(child)
        if parent.get("class") in {"bar", "dots"}:
            continue
        for number, one in enumerate(series):
            if parent.get("class") == f"series serie-{number} color-{number}":
                parent.set("class", f"series tone-{one.tone}")
                _tell(parent, one.name)


def _tell(node: ET.Element, name: str) -> None:
    """Give every shape of a series a title with its number, in place of pygal's notes for its script."""
    for shape in node.iter():
        notes = {one.get("class", ""): one for one in shape if one.tag == _DESCRIBED}
        value, label = notes.get("value"), notes.get("x_label")
        for one in notes.values():
            shape.remove(one)
        for one in [one for one in shape if one.tag == _DESCRIBED]:
            shape.remove(one)
        if value is not None:
            title = ET.Element("title")
            place = f"{label.text}: " if label is not None else ""
            title.text = f"{place}{name}: {value.text}"
            shape.insert(0, title)


def _write_numbers(root: ET.Element, numbers: Sequence[str]) -> None:
    """Write behind each bar that lies how much it is, from above: a bar too short to be seen has a number all the same."""
    ends: dict[float, float] = {}
    bars: list[tuple[ET.Element, float, float]] = []
    for group in root.iter():
        for bar in [one for one in group if one.get("class") == "bar"]:
            for rect in [one for one in bar if one.tag == "rect"]:
                x, y, width, height = (float(rect.get(name, "0")) for name in ("x", "y", "width", "height"))
                ends[y] = max(ends.get(y, 0.0), x + width)
                bars.append((group, y, height))
    if not bars or len(ends) != len(numbers):  # another version of the library draws otherwise
        return
    (group, _, height), *_ = bars
    for y, number in zip(sorted(ends), numbers, strict=True):
        place = {"class": "value", "x": f"{ends[y] + 6:.2f}", "y": f"{y + height / 2 + _FONT_SIZE / 3:.2f}"}
        ET.SubElement(group, "text", place).text = number


def _columns(series: Sequence[Series]) -> Sequence[Sequence[float | None]]:
    return list(zip(*(one.values for one in series), strict=True))


def _highest(shape: Shape, series: Sequence[Series]) -> float:
    whole = max if shape is Shape.LINES else sum
    return max((whole(value or 0 for value in column) for column in _columns(series)), default=0)


def ticks_to(highest: float) -> list[float]:
    """Return round numbers from 0 on to the first that reaches `highest`, about five."""
    wanted = max(highest, 1) / _TICKS
    power = 10 ** floor(log10(wanted))
    step = next(power * one for one in _NICE_STEPS if power * one >= wanted)
    if highest >= 1:
        step = max(1, ceil(step)) if step < 10 else step  # noqa: PLR2004 (whole numbers of visits)
    return [step * number for number in range(ceil(max(highest, 1) / step) + 1)]
