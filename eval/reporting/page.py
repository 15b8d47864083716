"""A page of evaluations that people look at: one HTML file without a script or a network, or Markdown with pictures.

Each record is a section: facts, the table, the intervals as a plot, samples of each subject, every setting, and the
command that makes it again. What it says comes from `eval.reporting.content`, its look from here.
"""

import base64
import html
import re
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from eval.reporting import content
from eval.reporting.content import Example, Section, Value
from eval.reporting.interval_plot import COLOURS, STYLE, Panel, Row, names_width, panel_svg, picture
from utils.run.errors import UsageError
from utils.run.files import atomic_write
from utils.run.folders import atomic_folder, refuse_existing
from visualize.sticks.contact_sheet import MARGIN, write_contact_sheet, write_world_sheet

SUFFIXES = (".html", ".md")
FRAMES = 8  # of a sample that are shown
BUDGET = 1_200_000  # bytes of pictures in a page, a third more in base64
_LEVELS = ((1.0, 80), (1.0, 60), (0.75, 60), (0.5, 60), (0.35, 40))  # shrinking and quality, the first that fits

_CSS = """\
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1180px; padding: 20px 16px 40px; background: var(--panel); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif;
}
h1, h2, h3 { line-height: 1.25; font-weight: 600; margin: 1.6em 0 .6em; }
h1 { font-size: 26px; margin-top: 0; } h2 { font-size: 20px; } h3 { font-size: 16px; }
section { border-top: 1px solid var(--grid); margin-top: 1.4em; padding-top: 1.4em; }
section h2 { margin-top: 0; }
p, figcaption span { color: var(--faint); }
a { color: var(--accent); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 0; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin-top: 22px; font-size: 14px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 0 5px 20px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--grid); }
th { font-weight: 600; } th:first-child { padding-left: 0; text-align: left; }
thead th + th { padding-right: 1.2em; } tbody th { font-weight: 400; }
tr > :first-child { position: sticky; left: 0; background: var(--panel); }
th small { display: block; font-weight: 400; color: var(--faint); font-size: 11px; }
.real th, .real td { color: var(--faint); }
td i { display: inline-block; width: 1em; padding-left: .2em; font-style: normal; }
.plots { display: flex; flex-wrap: wrap; gap: 20px 40px; }
.plots .plot { max-width: 100%; height: auto; }
figure { display: grid; grid-template-columns: 9em 1fr; gap: 0 12px; margin: 0 0 6px; align-items: center; }
figcaption { line-height: 1.35; overflow-wrap: anywhere; } figcaption b { font-weight: 600; }
figcaption > * { display: block; }
.strip { display: flex; border-radius: 6px; overflow: hidden; }
.strip img { width: 50%; height: auto; display: block; }
code { font: 13px/1.5 ui-monospace, "Liberation Mono", monospace; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; border: 1px solid var(--grid); border-radius: 6px; padding: 8px 12px; margin: 0; }
.settings { display: block; columns: 2 22em; column-gap: 40px; font-size: 13px; }
.settings div { display: flex; gap: 12px; justify-content: space-between; border-bottom: 1px solid var(--grid); }
.settings dt { flex: none; } .settings dd { text-align: right; }
@media (max-width: 640px) {
  figure { grid-template-columns: 1fr; margin-bottom: 14px; }
  figcaption > * { display: inline; margin-right: .6em; }
  .strip { flex-wrap: wrap; } .strip img { width: 100%; }
}
@media screen and (prefers-color-scheme: dark) { .strip { filter: invert(.88) hue-rotate(180deg); } }
@media print {
  body { font-size: 11px; padding: 0; } .wide { overflow: visible; font-size: 9px; } th, td { padding: 3px 0 3px 8px; }
  th small { font-size: 8px; } .plots { gap: 12px 3%; } .plots .plot { width: 48%; }
  figure, .plot, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
}"""


def write(path: str | Path, sections: Sequence[Section], overwrite: bool = False) -> list[Path]:
    """Write a page, whole or not at all; returns its file, and for Markdown the folder of its pictures.

    Raises UsageError for another ending than `SUFFIXES` or what exists already, DataError and NumericError for samples
    that cannot be drawn.
    """
    path = Path(path)
    check_output(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".html":
        text = html_page(sections)
        with atomic_write(path) as handle:
            handle.write(text.encode())
        return [path]
    with atomic_folder(pictures_of(path), overwrite) as folder:
        text = markdown_page(sections, folder, pictures_of(path).name)
        with atomic_write(path) as handle:
            handle.write(text.encode())
    return [path, pictures_of(path)]


def check_output(path: Path, overwrite: bool) -> None:
    """Raise UsageError for a page of a kind that is not written, or what may not be replaced."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--output {path} must end in {' or '.join(SUFFIXES)}")
    if path.is_dir():
        raise UsageError(f"--output {path} is a folder; name a file")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists already; choose another file or add --overwrite to replace it")
    if path.suffix == ".md":
        refuse_existing(pictures_of(path), overwrite)


def pictures_of(path: Path) -> Path:
    """The folder beside a Markdown page."""
    return path.with_name(f"{path.stem}_files")


def panels_of(section: Section) -> list[Panel]:
    """The plots of a section."""
    panels = []
    for metric, column in section.metrics.items():
        rows = []
        for subject, value in column.items():
            kind = "real" if section.is_real(subject) else "best" if value.place == "best" else ""
            rows.append(Row(subject, value.mean, value.interval, value.values, value.text, kind))
        panels.append(Panel(metric, section.direction(metric), tuple(rows), section.target(metric)))
    return panels


def draw_samples(section: Section, examples: Sequence[Example], captions: Sequence[str]) -> np.ndarray:
    """A contact sheet [H, W, 3] of examples, BGR: as it is where motion is 2D or MAS's, else through the world."""
    motions, world = [example.motion for example in examples], section.record.get("kind") in ("text", "action")
    with tempfile.TemporaryDirectory() as folder:
        path, fps = Path(folder) / "sheet.png", section.fps
        if world:
            write_world_sheet(path, motions, section.skeleton, captions, FRAMES, fps)
        else:
            write_contact_sheet(path, motions, section.skeleton, FRAMES, captions, fps)
        sheet = np.asarray(cv2.imread(str(path)))
    return sheet[:, MARGIN:] if world and not any(captions) else sheet


def coded(image: np.ndarray, scale: float, quality: int) -> bytes:
    """A picture [H, W, 3] as WebP: half the size of JPEG for drawings, and known to every browser since 2020."""
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    return cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def fitted(images: Sequence[np.ndarray], budget: int = BUDGET) -> list[bytes]:
    """Pictures as WebP, as large and good as a budget of bytes allows."""
    found: list[bytes] = []
    for scale, quality in _LEVELS:
        found = [coded(image, scale, quality) for image in images]
        if sum(map(len, found)) <= budget:
            break
    return found


def html_page(sections: Sequence[Section]) -> str:
    """The whole page, with pictures in it."""
    halves = [
        half
        for section in sections
        for row in section.examples.values()
        for example in row
        for half in np.array_split(draw_samples(section, [example], [""]), 2, axis=1)
    ]
    pictures = iter(fitted(halves))
    title = "Evaluation: " + "; ".join(dict.fromkeys(section.title for section in sections))
    names = content.names(sections) if len(sections) > 1 else [""]
    parts = [_html_section(section, names[k], k, pictures) for k, section in enumerate(sections)]
    links = [f'<li><a href="#record{k}">{_e(name)}</a></li>' for k, name in enumerate(names)]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
            "style-src 'unsafe-inline'\">",
            f'<meta name="color-scheme" content="light dark">\n<title>{_e(title)}</title>',
            f"<style>\n{COLOURS}\n{STYLE}\n{_CSS}\n</style>\n</head>\n<body>\n<h1>{_e(title)}</h1>",
            *(["<ul>", *links, "</ul>"] if len(sections) > 1 else []),
            *parts,
            "</body>\n</html>\n",
        ]
    )


def _e(text: object) -> str:
    return html.escape(str(text))


def _html_section(section: Section, name: str, number: int, pictures: Iterator[bytes]) -> str:
    """A record, with a heading if it has a name; `pictures` gives the next two halves of a sample at a time."""
    panels = panels_of(section)
    plots = [panel_svg(panel, names_width(panels), f"plot{number}-{k}") for k, panel in enumerate(panels)]
    return "\n".join(
        [
            f'<section id="record{number}">',
            *([f"<h2>{_e(name)}</h2>"] if name else []),
            _definitions(content.facts(section)),
            *[f"<p>Note: {_e(note)}.</p>" for note in section.notes],
            f'<div class="wide">\n{_html_table(section)}\n</div>\n<p>{_e(LEGEND)}</p>',
            f'<h3>Intervals</h3>\n<p>{_e(HOW_TO_READ)}</p>\n<div class="plots">',
            *plots,
            "</div>",
            *_html_samples(section, pictures),
            '<h3>Settings</h3>\n<dl class="settings">',
            *[f"<div><dt>{_e(name)}</dt><dd>{_e(text)}</dd></div>" for name, text in content.settings(section)],
            "</dl>",
            *_html_again(section),
            "</section>",
        ]
    )


HOW_TO_READ = (
    "Large dot: mean. Line: its 95 % interval. Small dots: the iterations. Hollow: real motion, which has no rank. "
    "Dashed: the value to come close to."
)
LEGEND = (
    "Mean ± half the width of its 95 % interval over the iterations. Bold: the best. ≈: its interval meets that of the "
    "best. Grey: real motion, which has no rank."
)


def _definitions(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(["<dl>", *[f"<dt>{_e(name)}</dt><dd>{_e(text)}</dd>" for name, text in rows], "</dl>"])


def _html_table(section: Section) -> str:
    heads = [
        f'<th scope="col">{_e(metric)}<small>{_e(section.direction(metric))}</small></th>' for metric in section.metrics
    ]
    rows = []
    for subject in section.subjects:
        cells = [_html_cell(column.get(subject)) for column in section.metrics.values()]
        kind = ' class="real"' if section.is_real(subject) else ""
        rows.append(f'<tr{kind}><th scope="row">{_e(subject)}</th>{"".join(cells)}</tr>')
    head = f'<thead><tr><th scope="col">subject</th>{"".join(heads)}</tr></thead>'
    return "\n".join(["<table>", head, "<tbody>", *rows, "</tbody>\n</table>"])


def _html_cell(value: Value | None) -> str:
    if value is None:
        return "<td>–<i></i></td>"
    text = f"<b>{value.text}</b>" if value.place == "best" else value.text
    return f"<td>{text}<i>{'≈' if value.place == 'level' else ''}</i></td>"


def _html_samples(section: Section, pictures: Iterator[bytes]) -> list[str]:
    """The samples of all subjects, below what they are sorted by."""
    if not section.examples:
        return []
    parts = [f"<h3>Samples</h3>\n<p>{_e(content.sorted_by(section))}</p>"]
    for subject, examples in section.examples.items():
        parts.append(f"<h3>{_e(subject)}</h3>")
        parts += [_html_sample(section, subject, example, (next(pictures), next(pictures))) for example in examples]
    return parts


def _html_sample(section: Section, subject: str, example: Example, halves: tuple[bytes, bytes]) -> str:
    seconds = len(example.motion) / section.fps
    said = (f"{FRAMES} moments of {seconds:.1f} s of {subject}, {example.caption}", "")
    images = [
        f'<img alt="{_e(alt)}" src="data:image/webp;base64,{base64.b64encode(data).decode()}">'
        for alt, data in zip(said, halves, strict=True)
    ]
    distance = "" if example.distance is None else f"<span>distance {example.distance:.3g}</span> "
    return "\n".join(
        [
            f"<figure><figcaption><b>{_e(example.group)}</b> {distance}<span>{_e(example.title)}</span></figcaption>",
            f'<div class="strip">{"".join(images)}</div></figure>',
        ]
    )


def _html_again(section: Section) -> list[str]:
    line = content.command(section)
    return [f"<h3>To make it again</h3>\n<pre><code>{_e(line)}</code></pre>"] if line else []


def markdown_page(sections: Sequence[Section], folder: Path, name: str) -> str:
    """The whole page; its pictures are written to `folder`, which it calls by `name`."""
    title = "Evaluation: " + "; ".join(dict.fromkeys(section.title for section in sections))
    lines = [f"# {_m(title)}", ""]
    for number, section in enumerate(sections, start=1):
        plot = f"plot_{number}.svg"
        panels = panels_of(section)
        (folder / plot).write_text(picture(panels, f"Intervals of {section.title}"), encoding="utf-8")
        lines += [f"## {_m(content.names(sections)[number - 1])}", ""] if len(sections) > 1 else []
        lines += [*[f"- {_m(fact)}: {_m(text)}" for fact, text in content.facts(section)], ""]
        lines += [line for note in section.notes for line in (f"Note: {_m(note)}.", "")]
        lines += [*_markdown_table(section), "", LEGEND, "", "### Intervals", ""]
        lines += [f"![Means and their intervals]({name}/{plot})", "", HOW_TO_READ, ""]
        lines += _markdown_samples(section, folder, name, number)
        lines += ["### Settings", "", "| setting | value |", "|---|---|"]
        lines += [f"| {_m(setting)} | {_m(value)} |" for setting, value in content.settings(section)]
        if line := content.command(section):
            lines += ["", "### To make it again", "", *[f"    {part}" for part in line.splitlines()]]
        lines.append("")
    return "\n".join(lines)


def _m(text: object) -> str:
    """Text of one line in which Markdown finds nothing to mark up."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", " ".join(str(text).split()))


def _markdown_table(section: Section) -> list[str]:
    heads = [f"{_m(metric)} {content.ARROWS.get(section.better(metric), '')}".strip() for metric in section.metrics]
    lines = [f"| subject | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for subject in section.subjects:
        cells = [_markdown_cell(column.get(subject)) for column in section.metrics.values()]
        lines.append(f"| {_m(subject)} | {' | '.join(cells)} |")
    return lines


def _markdown_cell(value: Value | None) -> str:
    if value is None:
        return "–"
    return {"best": f"**{value.text}**", "level": f"{value.text} ≈"}.get(value.place, value.text)


def _markdown_samples(section: Section, folder: Path, name: str, number: int) -> list[str]:
    """A contact sheet of each subject."""
    if not section.examples:
        return []
    lines = ["### Samples", "", content.sorted_by(section), ""]
    sheets = []
    for examples in section.examples.values():
        captions = [textwrap.shorten(f"{example.caption}: {example.title}".rstrip(": "), 110) for example in examples]
        sheets.append(draw_samples(section, examples, captions))
    for k, (subject, data) in enumerate(zip(section.examples, fitted(sheets), strict=True)):
        file = f"samples_{number}_{k}_{re.sub('[^A-Za-z0-9]+', '_', subject)}.webp"
        (folder / file).write_bytes(data)
        lines += [f"**{_m(subject)}**", "", f"![Samples of {_m(subject)}]({name}/{file})", ""]
    return lines
