"""Means and intervals as a picture: SVG, one small panel a metric, a row a subject, no script and no fonts of its own.

A dot is the mean, the line through it the 95 % interval of the mean, the small dots below it the iterations. Colours
are classes of `STYLE`, which whoever shows the panels puts into the page once; a picture of its own carries it.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

ROW, HEAD, FOOT, FIELD, GAP = 26, 40, 24, 200, 28  # pixels: a row, above and below the rows, the axis, between panels
EDGE = 10  # right of the axis, for the half of a label
NAMES, LETTER = 90, 7.2  # of the names of subjects: their least room, and of a letter
_LOG_SPAN = 50  # a larger ratio of values needs a logarithmic axis
_TICKS = 5

_LIGHT = "--ink: #3f4a56; --faint: #66727f; --grid: #dde3e8; --accent: #1f6aa5; --panel: #ffffff;"
_DARK = "--ink: #d5dce3; --faint: #98a4b1; --grid: #333b43; --accent: #6fb3e0; --panel: #1d2126;"
COLOURS = f":root {{ {_LIGHT} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}"
STYLE = """\
.plot text { font: 12px system-ui, "Segoe UI", "Liberation Sans", sans-serif; fill: var(--ink); }
.plot .metric { font-weight: 600; font-size: 13px; }
.plot .small, .plot .real text { fill: var(--faint); }
.plot .small { font-size: 11px; }
.plot .best text { fill: var(--accent); font-weight: 600; }
.plot line { stroke: var(--grid); }
.plot .target { stroke: var(--faint); stroke-dasharray: 4 3; }
.plot .whisker { stroke: var(--ink); stroke-width: 1.6; }
.plot .mean { fill: var(--ink); }
.plot .each { fill: var(--ink); fill-opacity: .4; }
.plot .real .whisker { stroke: var(--faint); }
.plot .real .mean { fill: var(--panel); stroke: var(--faint); stroke-width: 1.6; }
.plot .real .each { fill: var(--faint); }
.plot .best .whisker { stroke: var(--accent); }
.plot .best .mean, .plot .best .each { fill: var(--accent); }
.plot .hit { fill: transparent; }"""


@dataclass(frozen=True)
class Row:
    """A subject: its mean, the half width of the interval, the values of the iterations, what is said of them.

    `kind` is "best", "real" or nothing.
    """

    name: str
    mean: float
    interval: float
    values: tuple[float, ...]
    text: str
    kind: str = ""


@dataclass(frozen=True)
class Panel:
    """A metric: its name, which values are better, its rows, and the value to come close to, where there is one."""

    metric: str
    direction: str
    rows: tuple[Row, ...]
    target: float | None = None


@dataclass(frozen=True)
class Scale:
    """From values to pixels: `low` at `left`, `high` at `right`, evenly or (`log`) by ratio."""

    low: float
    high: float
    left: float
    right: float
    log: bool = False

    def x(self, value: float) -> float:
        """Where a value is."""
        low, high, value = (
            (math.log10(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def ticks(self) -> list[float]:
        """Round values between the ends, a few."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1,) if len(decades) > 4 else (1, 3)
            found = [step * 10.0**decade for decade in decades for step in steps]
            return [value for value in found if self.low <= value <= self.high]
        rough = (self.high - self.low) / _TICKS
        decade = 10.0 ** math.floor(math.log10(rough))
        step = decade * next(size for size in (1, 2, 5, 10) if size * decade >= rough * 0.8)
        first = math.ceil(self.low / step - 1e-9)
        return [round(k * step, 12) for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def scale_of(panel: Panel, left: float, right: float) -> Scale:
    """The axis that holds all means, intervals and iterations of a panel, with a little air."""
    numbers = [v for row in panel.rows for v in (*row.values, row.mean - row.interval, row.mean + row.interval)]
    numbers += [] if panel.target is None else [panel.target]
    low, high = min(numbers), max(numbers)
    if low > 0 and high / low > _LOG_SPAN:
        air = (high / low) ** 0.05
        return Scale(low / air, high * air, left, right, log=True)
    air = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    bottom = low - air
    return Scale(0.0 if low >= 0 > bottom else bottom, high + air, left, right)


def names_width(panels: Sequence[Panel]) -> float:
    """The room that the names of the subjects take, left of the axes."""
    return max(NAMES, 14 + LETTER * max(len(row.name) for panel in panels for row in panel.rows))


def panel_size(panel: Panel, names: float) -> tuple[float, float]:
    """Width and height of a panel."""
    return names + FIELD + EDGE, HEAD + ROW * len(panel.rows) + FOOT


def draw_panel(panel: Panel, names: float) -> str:
    """The shapes of a panel whose names take so much room, its upper left corner at the origin."""
    scale = scale_of(panel, names, names + FIELD)
    bottom = HEAD + ROW * len(panel.rows)
    parts = [f'<text class="metric" x="4" y="15">{html.escape(panel.metric)}</text>']
    note = ", ".join(filter(None, (panel.direction, "log scale" if scale.log else "")))
    parts.append(f'<text class="small" x="4" y="31">{html.escape(note)}</text>')
    for value in scale.ticks():
        x = f"{scale.x(value):.1f}"
        parts.append(f'<line x1="{x}" x2="{x}" y1="{HEAD}" y2="{bottom}"/>')
        parts.append(f'<text class="small" x="{x}" y="{bottom + 16}" text-anchor="middle">{_label(value)}</text>')
    if panel.target is not None:
        x = f"{scale.x(panel.target):.1f}"
        parts.append(f'<line class="target" x1="{x}" x2="{x}" y1="{HEAD}" y2="{bottom}"/>')
    parts += [_draw_row(row, scale, HEAD + ROW * (k + 0.5)) for k, row in enumerate(panel.rows)]
    return "\n".join(parts)


def _draw_row(row: Row, scale: Scale, middle: float) -> str:
    """Name, whisker with its ends, mean and iterations of a subject, and what a pointer is told."""
    low, mean, high = (scale.x(row.mean + sign * row.interval) for sign in (-1, 0, 1))
    y, name = middle - 4, html.escape(row.name)
    parts = [
        f'<g class="{row.kind}"><title>{name}: {html.escape(row.text)}</title>',
        f'<rect class="hit" x="0" y="{middle - ROW / 2:g}" width="{scale.right:g}" height="{ROW}"/>',
        f'<text x="{scale.left - 10:.1f}" y="{middle + 4:g}" text-anchor="end">{name}</text>',
    ]
    if row.interval:
        parts.append(f'<path class="whisker" fill="none" d="M{low:.1f} {y - 4:g}v8m0-4H{high:.1f}m0-4v8"/>')
    parts.append(f'<circle class="mean" cx="{mean:.1f}" cy="{y:g}" r="4"/>')
    if len(row.values) > 1:
        parts += [f'<circle class="each" cx="{scale.x(v):.1f}" cy="{middle + 6:g}" r="1.8"/>' for v in row.values]
    return "\n".join([*parts, "</g>"])


def _label(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def panel_svg(panel: Panel, names: float, label: str) -> str:
    """A panel as an element of a page that has `STYLE` and `COLOURS`; `label` is the id of its title."""
    width, height = panel_size(panel, names)
    said = f"{panel.metric}: " + "; ".join(f"{row.name} {row.text}" for row in panel.rows)
    return (
        f'<svg class="plot" width="{1.1 * width:g}" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-labelledby="{label}">\n'
        f'<title id="{label}">{html.escape(said)}</title>\n{draw_panel(panel, names)}\n</svg>'
    )


def picture(panels: Sequence[Panel], title: str, columns: int = 2) -> str:
    """All panels as the content of an SVG file, on paper of its own."""
    names = names_width(panels)
    wide, columns = panel_size(panels[0], names)[0] + GAP, min(columns, len(panels))
    high = max(panel_size(panel, names)[1] for panel in panels) + GAP
    width, height = GAP + columns * wide, GAP + -(-len(panels) // columns) * high
    placed = [
        f'<g transform="translate({GAP + k % columns * wide:g} {GAP + k // columns * high:g})">\n'
        f"{draw_panel(panel, names)}\n</g>"
        for k, panel in enumerate(panels)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="title">',
            f'<title id="title">{html.escape(title)}</title>',
            f"<style>\n{COLOURS}\n{STYLE}\n.paper {{ fill: var(--panel); }}\n</style>",
            '<rect class="paper" width="100%" height="100%"/>',
            *placed,
            "</svg>\n",
        ]
    )
