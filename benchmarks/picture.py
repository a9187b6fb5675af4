"""Charts as SVG, drawn by hand so that docs/ needs no drawing library.

What lives here: two curves over one axis of powers of two, and bars on a logarithmic axis. What must not: where the
numbers come from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

__all__ = ["Bar", "Curve", "bars", "chart"]

_WIDTH, _HEIGHT = 720, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 70, 46, 56


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: its name with the unit, its values from left to right, its colour."""

    name: str
    values: Sequence[float]
    colour: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its name, its value, and its kind: `"ours"`, `"limit"`, or `""` for all others."""

    name: str
    value: float
    kind: str = ""


_COLOURS = {"ours": "#1f6fb4", "limit": "#2e7d32", "": "#9aa3ab"}
_NAMES, _STEP = 330, 24


def bars(title: str, axis: str, shown: Sequence[Bar]) -> str:
    """Return an SVG of horizontal bars, the least on top, on a logarithmic axis that begins at a power of ten."""
    ordered = sorted(shown, key=lambda bar: bar.value)
    low = math.floor(math.log10(ordered[0].value / 2))  # so that the shortest bar can be seen
    high = max(math.ceil(math.log10(ordered[-1].value)), low + 1)
    height = _TOP + _STEP * len(ordered) + 52
    bottom = height - 44

    def across(value: float) -> float:
        return _NAMES + (_WIDTH - _NAMES - _RIGHT) * _share(math.log10(value), low, high)

    ticks = [10.0**power for power in range(low, high + 1)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(_WIDTH / 2, 22, title, "middle", "#222222", size=14),
        *(f'<path d="M{across(tick):.1f} {_TOP - 8} V{bottom}" stroke="#dddddd"/>' for tick in ticks),
        *(_text(across(tick), bottom + 16, f"{tick:,.15g}", "middle", "#222222") for tick in ticks),
        *(line for place, bar in enumerate(ordered) for line in _bar(bar, _TOP + _STEP * place, across(bar.value))),
        _text((_NAMES + _WIDTH - _RIGHT) / 2, height - 8, f"{axis} (logarithmic; less is better)", "middle", "#222222"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _bar(bar: Bar, top: float, end: float) -> list[str]:
    """The name to the left, the bar, the value behind it."""
    colour = _COLOURS[bar.kind]
    return [
        _text(_NAMES - 8, top + 13, bar.name, "end", "#222222" if bar.kind else "#555555"),
        f'<path d="M{_NAMES} {top} H{max(_NAMES + 1.0, end):.1f} V{top + _STEP - 6} H{_NAMES} Z" fill="{colour}"/>',
        _text(end + 6, top + 13, f"{bar.value:,.0f}", "start", "#222222"),
    ]


def chart(title: str, axis: str, at: Sequence[int], curves: tuple[Curve, Curve], mark: int) -> str:
    """Return an SVG of two curves, each with an axis of its own that begins at 0, over positions on a logarithmic axis.

    `mark` is the index of the position that a dashed line points out.
    """
    left, right = curves
    across = [_LEFT + (_WIDTH - _LEFT - _RIGHT) * _share(math.log2(x), math.log2(at[0]), math.log2(at[-1])) for x in at]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_WIDTH / 2, 18, title, "middle", "#222222", size=14),
        f'<path d="M{_LEFT} {_TOP} V{_HEIGHT - _BOTTOM} H{_WIDTH - _RIGHT} V{_TOP}" fill="none" stroke="#888888"/>',
        f'<path d="M{across[mark]:.1f} {_TOP} V{_HEIGHT - _BOTTOM}" stroke="#888888" stroke-dasharray="4 4"/>',
        _text(across[mark], _TOP - 6, "default", "middle", "#555555"),
        *(_text(x, _HEIGHT - _BOTTOM + 18, f"{n:,}", "middle", "#222222") for x, n in zip(across, at, strict=True)),
        _text(_WIDTH / 2, _HEIGHT - 12, axis, "middle", "#222222"),
        *_drawn(left, across, _LEFT - 8, "end"),
        *_drawn(right, across, _WIDTH - _RIGHT + 8, "start"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low)


def _drawn(curve: Curve, across: Sequence[float], scale_at: float, anchor: str) -> list[str]:
    """The line, its name, and the numbers of its axis."""
    top = _round_up(max(curve.values))
    depth = _HEIGHT - _BOTTOM - _TOP

    def height(value: float) -> float:
        return _TOP + depth * (1 - value / top)

    points = " ".join(f"{x:.1f},{height(value):.1f}" for x, value in zip(across, curve.values, strict=True))
    steps = [top * step / 4 for step in range(5)]
    return [
        f'<polyline points="{points}" fill="none" stroke="{curve.colour}" stroke-width="2"/>',
        *(_text(scale_at, height(step) + 4, f"{step:,.4g}", anchor, curve.colour) for step in steps),
        _text(_LEFT if anchor == "end" else _WIDTH - _RIGHT, _TOP - 8, curve.name, _side(anchor), curve.colour),
    ]


def _side(anchor: str) -> str:
    return "start" if anchor == "end" else "end"


def _round_up(value: float) -> float:
    """The next number that divides into four round steps."""
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 6, 8, 10, 20) if step * power >= value)


def _text(x: float, y: float, text: str, anchor: str, colour: str, *, size: int = 12) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-size="{size}">{escape(text)}</text>'
