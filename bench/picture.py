"""Draws turnaround against steps, both logarithmic, as SVG. Does no I/O.

It has no background and middle tones, so that you can read it on a light and on a dark page.
"""

from collections.abc import Callable, Mapping, Sequence
from math import log10

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 40, 46
INK = "#7d8590"
COLOURS = ("#2f81f7", "#1a9e96", "#8a8f98", "#8a8f98", "#d9822b", "#c2478a")

Line = Sequence[tuple[int, float]]
"""Steps and milliseconds."""

Scale = Callable[[float], float]
"""From a logarithm to a place."""


def draw(lines: Mapping[str, Line]) -> str:
    """One line a client, in the order given."""
    steps = sorted({n for line in lines.values() for n, _ in line})
    values = [ms for line in lines.values() for _, ms in line]
    low, high = _decade(min(values), down=True), _decade(max(values), down=False)
    x = _scale(log10(steps[0]), log10(steps[-1]), LEFT, WIDTH - RIGHT)
    y = _scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [*_frame(steps, range(low, high + 1), x, y)]
    ends = _apart({name: y(log10(line[-1][1])) for name, line in lines.items()})
    for (name, line), colour in zip(lines.items(), COLOURS, strict=False):
        points = [(x(log10(n)), y(log10(ms))) for n, ms in line]
        dash = ' stroke-dasharray="5 4"' if name.endswith("WebSocket") else ""
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.2"{dash}/>'
        )
        parts += [
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.2" fill="{colour}"/>' for px, py in points
        ]
        parts.append(_text(points[-1][0] + 10, ends[name] + 4, name, colour))
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    style = f'font-family="system-ui, sans-serif" font-size="13" fill="{INK}"'
    title = "<title>Turnaround in milliseconds against the steps of a turn</title>"
    return "\n".join([f'{start} role="img" {style}>', title, *parts, "</svg>", ""])


def _frame(steps: Sequence[int], decades: range, x: Scale, y: Scale) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [_text(LEFT - 48, TOP - 16, "turnaround, ms", INK)]
    for decade in decades:
        at = y(decade)
        parts.append(f'<path d="M{LEFT} {at:.1f}H{right}" stroke="{INK}" stroke-opacity=".35"/>')
        parts.append(_text(LEFT - 8, at + 4, f"{10.0**decade:g}", INK, "end"))
    for number in steps:
        at = x(log10(number))
        parts.append(_text(at, bottom + 20, f"{number:,}", INK, "middle"))
    return [*parts, _text((LEFT + right) / 2, bottom + 40, "steps of the turn", INK, "middle")]


def _text(x: float, y: float, text: str, colour: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{text}</text>'


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (value - low) / ((high - low) or 1) * (end - start)


def _decade(value: float, down: bool) -> int:
    exact = log10(value)
    return int(exact // 1) if down else int(-(-exact // 1))


def _apart(places: Mapping[str, float], gap: float = 17) -> dict[str, float]:
    """Labels moved down until none covers another."""
    found: dict[str, float] = {}
    last = float("-inf")
    for name, place in sorted(places.items(), key=lambda pair: pair[1]):
        last = found[name] = max(place, last + gap)
    return found
