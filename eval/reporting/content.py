"""What records of evaluations say, for whoever lays out a page: metrics with their ranks, facts in words, samples.

The value of a metric is the mean over independent iterations and the half width of its 95 % interval (1.96 standard
errors), as `eval.reporting.record` writes them.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from eval.options import REAL
from eval.reporting import record as records
from utils.geometry.skeleton import SKELETONS, Skeleton
from utils.run.arrays import load_archive
from utils.run.errors import DataError

GROUPS = ("best", "median", "worst")
ARROWS = {"lower": "↓", "higher": "↑", "closer": "→"}
_MOST_DECIMALS = 6
LARGEST = 1e100  # of numbers in a record: the axes of a plot go on beyond them
_REAL = {*REAL, "ground truth", "gt", "gt2"}  # rows of real motion have no rank


@dataclass(frozen=True)
class Value:
    """A metric of a subject; `place` is "best", "level" (its interval meets that of the best) or nothing."""

    mean: float
    interval: float
    values: tuple[float, ...]
    text: str
    place: str = ""


@dataclass(frozen=True)
class Example:
    """A motion [T, J, 2 or 3] of a subject in data units: which of `GROUPS`, its distance, its title or nothing."""

    group: str
    distance: float | None
    title: str
    motion: np.ndarray

    @property
    def caption(self) -> str:
        """Its group and distance in words."""
        return self.group if self.distance is None else f"{self.group}, distance {self.distance:.3g}"


@dataclass(frozen=True)
class Section:
    """One record: `metrics`, their values by subject, `examples` by subject, `notes` on what could not be shown."""

    path: Path
    record: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Value]]
    examples: Mapping[str, Sequence[Example]]
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What was evaluated, in a few words."""
        kind = {"mas": "2D motion and MAS", "text": "motion from text", "action": "motion from actions"}
        what = kind.get(self.record.get("kind", ""), "motion")
        return f"{what} on {self.record.get('dataset', 'unnamed data')}"

    @property
    def subjects(self) -> list[str]:
        """What is compared: in the order that the settings name, the others after real motion by name."""
        requested = self.record.get("settings", {}).get("subjects")
        names = [name for name in requested if name in self.record["subjects"]] if isinstance(requested, list) else []
        others = sorted(set(self.record["subjects"]) - set(names), key=lambda name: (not self.is_real(name), name))
        return [*names, *others]

    @property
    def reference(self) -> str:
        """The subject that the others are compared with, by name."""
        return str(self.record.get("reference", ""))

    @property
    def skeleton(self) -> Skeleton:
        """The joints of the examples. Raises DataError for one that is not known."""
        name = self.record.get("skeleton")
        if name not in SKELETONS:
            raise DataError(f"{self.path} has the skeleton {name!r}; known are {', '.join(SKELETONS)}")
        return SKELETONS[name]

    @property
    def fps(self) -> float:
        """Frames a second of the examples. Raises DataError."""
        fps = self.record.get("fps", 30.0)
        if not isinstance(fps, int | float) or not fps > 0:
            raise DataError(f"{self.path} has {fps!r} frames a second; that must be a number above 0")
        return float(fps)

    def is_real(self, subject: str) -> bool:
        """Whether a row shows real motion, which has no rank."""
        return subject in _REAL or subject == self.reference

    def direction(self, metric: str) -> str:
        """Which values of a metric are the better ones, in words; nothing where the record does not say."""
        better = self.better(metric)
        return (
            f"closer to {self.reference} is better" if better == "closer" else f"{better} is better" if better else ""
        )

    def better(self, metric: str) -> str:
        """ "lower", "higher", "closer" (to the reference), or nothing."""
        said = self.record.get("better", {}).get(metric)
        return said if said in ARROWS else ""

    def target(self, metric: str) -> float | None:
        """The value that a metric should come close to, where there is one."""
        found = self.metrics[metric].get(self.reference)
        return found.mean if found and self.better(metric) == "closer" else None


def load(paths: Sequence[str | Path]) -> list[Section]:
    """The records of files, which must be comparable, each with its samples if their file is there.

    Raises MissingFileError, DataError for what is no record, and UsageError for records of different evaluators.
    """
    found = {str(path): records.read(path) for path in paths}
    for path, content in found.items():
        _check(path, content)
    records.check_comparable(found)
    return [_section(Path(path), content) for path, content in found.items()]


def _check(path: str, content: Mapping[str, Any]) -> None:
    """Raise DataError unless the tables of a record are what they should be."""
    metrics, subjects = content["metrics"], content["subjects"]
    maps = (subjects, content["evaluator"], *(content.get(name, {}) for name in ("better", "settings", "provenance")))
    if (
        not isinstance(metrics, list)
        or not all(isinstance(name, str) for name in metrics)
        or not metrics
        or not subjects
        or not all(isinstance(m, dict) for m in maps)
    ):
        raise DataError(f"{path} must hold metrics, subjects, settings and an evaluator, as eval.evaluate writes them")
    made, evaluator = content.get("provenance", {}), content["evaluator"]
    texts = [content.get(name) for name in ("kind", "dataset", "truth", "angle_mode", "skeleton", "reference")]
    texts += [evaluator.get(name) for name in ("name", "path", "sha256")] + list(content.get("better", {}).values())
    texts += [made.get(name) for name in ("checkpoint", "checkpoint_sha256", "version")]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise DataError(f"{path} has something other than a text for a name, a path or a digest")
    if not _is_number(content.get("seconds") or 0):
        raise DataError(f"{path} took {content['seconds']!r} seconds, which is no number")
    for subject, row in subjects.items():
        if not isinstance(row, dict) or set(row) - set(metrics):
            named = ", ".join(sorted(set(row) - set(metrics))) if isinstance(row, dict) else "no metrics"
            raise DataError(f"{path}: subject {subject} has {named}; the metrics are {', '.join(map(str, metrics))}")
        for metric, cell in row.items():
            if not _is_figure(cell):
                raise DataError(f"{path}: {metric} of {subject} must be values, mean and interval, all finite numbers")
    if missing := [metric for metric in metrics if not any(metric in row for row in subjects.values())]:
        raise DataError(f"{path}: no subject has the metric {missing[0]}")


def _is_figure(cell: Any) -> bool:
    try:
        numbers = [cell["mean"], cell["interval"], *cell["values"]]
        return len(numbers) > 2 and all(map(_is_number, numbers)) and cell["interval"] >= 0
    except (TypeError, KeyError):
        return False


def _is_number(value: Any) -> bool:
    """Whether this is a number that can be drawn."""
    return isinstance(value, int | float) and abs(value) <= LARGEST


def _section(path: Path, content: Mapping[str, Any]) -> Section:
    bare = Section(path, content, {}, {})
    bare = replace(bare, metrics={metric: _column(bare, metric) for metric in content["metrics"]})
    metrics = {metric: _ranked(bare, metric) for metric in content["metrics"]}
    examples, notes = _examples(bare)
    return replace(bare, metrics=metrics, examples=examples, notes=notes)


def _column(section: Section, metric: str) -> dict[str, Value]:
    """A metric of all subjects that have it, written with the decimals that its intervals deserve."""
    rows = section.record["subjects"]
    cells = {subject: rows[subject][metric] for subject in section.subjects if metric in rows[subject]}
    widths = [cell["interval"] for cell in cells.values() if cell["interval"]]
    typical = median(widths or [abs(cell["mean"]) / 100 for cell in cells.values()])
    decimals = max(0, math.ceil(0.5 - math.log10(typical))) if typical else 2  # the interval as 30 or as 3, not as 1
    return {
        subject: Value(
            cell["mean"], cell["interval"], tuple(cell["values"]), _text(cell["mean"], cell["interval"], decimals)
        )
        for subject, cell in cells.items()
    }


def _first_decimal(value: float) -> int:
    """The decimal place of the first digit that is not 0 (0 for values from 1 on, and for 0)."""
    return max(0, -math.floor(math.log10(abs(value)))) if value else 0


def _text(mean: float, interval: float, decimals: int) -> str:
    """A value with so many decimals, or more where it would seem to be 0 or exact."""
    decimals = min(max(decimals, _first_decimal(mean) + 1, _first_decimal(interval)), _MOST_DECIMALS)
    spread = f" ± {interval:.{decimals}f}" if interval else ""
    return f"{mean:.{decimals}f}{spread}".replace("-", "−")


def _ranked(section: Section, metric: str) -> dict[str, Value]:
    """The values of a metric with their places, where two or more subjects compete."""
    column, target = section.metrics[metric], section.target(metric)
    losses = {}
    for subject, value in column.items():
        if not section.is_real(subject):
            offset = None if target is None else abs(value.mean - target)
            losses[subject] = {"lower": value.mean, "higher": -value.mean, "closer": offset}.get(section.better(metric))
    ranked = {subject: loss for subject, loss in losses.items() if loss is not None}
    if len(ranked) < 2:
        return dict(column)
    first = min(ranked, key=lambda subject: ranked[subject])
    placed = dict(column)
    for subject, loss in ranked.items():
        behind, value = loss - ranked[first], column[subject]
        level = behind <= value.interval + column[first].interval
        place = "best" if behind == 0 else "level" if level else ""
        placed[subject] = replace(value, place=place)
    return placed


def _examples(section: Section) -> tuple[dict[str, list[Example]], tuple[str, ...]]:
    """The samples of each subject, and what is missing of them. Raises DataError for a list that is none."""
    listed, path = section.record.get("examples") or {}, section.path
    archive = path.with_name(f"{path.stem}_examples.npz")
    if not listed:
        return {}, ()
    if not archive.is_file():
        return {}, (f"{archive} is missing: there are no pictures of samples",)
    motions, found, lost = load_archive(archive), {}, []
    try:
        for subject in sorted(listed, key=(section.subjects + list(listed)).index):
            groups = listed[subject]
            entries = [(group, entry) for group in GROUPS for entry in groups.get(group, [])]
            lost += [entry["motion"] for _, entry in entries if entry["motion"] not in motions]
            found[subject] = [
                Example(group, _distance(entry), str(entry.get("title") or ""), motions[entry["motion"]])
                for group, entry in entries
                if entry["motion"] in motions
            ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: its examples are not as eval.reporting.record writes them ({error!r})") from error
    notes = (f"{archive} lacks {', '.join(lost)}",) if lost else ()
    return {subject: rows for subject, rows in found.items() if rows}, notes


def _distance(entry: Mapping[str, Any]) -> float | None:
    return None if entry.get("distance") is None else float(entry["distance"])


def names(sections: Sequence[Section]) -> list[str]:
    """What to call each of several records: its file's name, with the folders where two are called the same."""
    stems = [section.path.stem for section in sections]
    return [
        stem if stems.count(stem) == 1 else str(section.path) for stem, section in zip(stems, sections, strict=True)
    ]


def sorted_by(section: Section) -> str:
    """By what examples are called best, median and worst."""
    if section.record.get("kind") == "text":
        return "By the distance between a motion and its sentence in the space of the evaluator."
    nearest = f" of {section.reference}" if section.reference else ""
    return f"By the distance to the nearest motion{nearest} in the space of the evaluator."


def facts(section: Section) -> list[tuple[str, str]]:
    """What a reader asks first: what was evaluated, by whom, when, how long, from how much."""
    record, made = section.record, section.record.get("provenance", {})
    evaluator, samples = record["evaluator"], record.get("settings", {}).get("eval_num_samples")
    counts = sorted({len(value.values) for column in section.metrics.values() for value in column.values()})
    who = (evaluator.get("name"), evaluator.get("path"), _digest(evaluator.get("sha256")))
    model = (made.get("checkpoint"), _digest(made.get("checkpoint_sha256")))
    rows = [
        ("Evaluated in", _evaluated_in(record)),
        ("Subjects", ", ".join(section.subjects)),
        ("Model", ", ".join(filter(None, model))),
        ("Evaluator", ", ".join(filter(None, who))),
        ("Samples", f"{samples} of each subject in an iteration" if samples else ""),
        ("Iterations", " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))),
        ("Seed", str(made.get("seed", ""))),
        ("When", str(made.get("when", ""))),
        ("Took", duration(record["seconds"]) if record.get("seconds") else ""),
        ("Version", " ".join(filter(None, (made.get("version"), str(made.get("revision", ""))[:8])))),
    ]
    return [(name, text) for name, text in rows if text]


def _evaluated_in(record: Mapping[str, Any]) -> str:
    """Which motion the evaluator saw."""
    if record.get("kind") != "mas":
        return ""
    if record.get("truth") == "3d":
        return "3D, beside real 3D motion"
    return f"2D; 3D motion is seen from {record.get('angle_mode', 'uniform')} angles"


def _digest(sha256: str | None) -> str:
    return f"SHA-256 {sha256[:12]}" if sha256 else ""


def duration(seconds: float) -> str:
    """A time in the two units that matter."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def settings(section: Section) -> list[tuple[str, str]]:
    """Every setting, then where the record came from, by name."""
    made = {name: value for name, value in section.record.get("provenance", {}).items() if name != "command"}
    who = {f"evaluator {name}": value for name, value in section.record["evaluator"].items()}
    parts = (section.record.get("settings", {}), who, made)
    return [(name, plain(value)) for part in parts for name, value in sorted(part.items())]


def plain(value: Any) -> str:
    """A value of JSON as a reader would write it."""
    if isinstance(value, list):
        return " ".join(map(plain, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def command(section: Section) -> str:
    """The command that makes the record again; nothing where it is not known."""
    return str(section.record.get("provenance", {}).get("command", ""))
