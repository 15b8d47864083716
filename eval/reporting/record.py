"""What an evaluation found: the table in the published format, and a JSON record of all that led to it.

The record has every value of every iteration, intervals, settings, provenance and the evaluator's digest. Distances
in the space of one evaluator say nothing in that of another, so records made by different ones are not compared.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from eval.metrics.distances import interval
from sample.common.session import Session
from utils.run.checkpoint import digest
from utils.run.errors import DataError, UsageError, is_text
from utils.run.files import atomic_write, read_json, write_json
from utils.run.provenance import provenance

FORMAT_VERSION = 1
EXAMPLES = 2  # motions of each kind that are kept
NAME_WIDTH, CELL_WIDTH = 24, 20
Values = Mapping[str, Mapping[str, Sequence[float]]]  # subject -> metric -> one value an iteration


def number(value: float) -> str:
    """Two decimals, or two significant ones where these would be 0.00 (published format)."""
    text = f"{value:.2f}"
    return f"{value:.2e}" if text == "0.00" else text


def table(values: Values, metrics: Sequence[str]) -> str:
    """The table of the published `eval.evaluate`, byte for byte: mean±half width of the interval, a row a subject."""
    lines = [" " * NAME_WIDTH + "".join(name.ljust(CELL_WIDTH) for name in metrics)]
    for subject, found in values.items():
        cells = ("±".join(map(number, interval(found[name]))) for name in metrics)
        lines.append(subject.ljust(NAME_WIDTH) + "".join(cell.ljust(CELL_WIDTH) for cell in cells))
    return "".join(line + "\n" for line in lines)


def summary(values: Values) -> dict[str, dict[str, dict[str, Any]]]:
    """The values with their mean and the half width of the 95 % interval of it."""
    return {subject: {name: _summary(each) for name, each in found.items()} for subject, found in values.items()}


def _summary(values: Sequence[float]) -> dict[str, Any]:
    mean, half = interval(values)
    return {"values": [float(value) for value in values], "mean": mean, "interval": half}


def content(
    session: Session, values: Values, *, kind: str, truth: str, better: Mapping[str, str], reference: str,
    evaluator: Mapping[str, str], settings: Mapping[str, Any], examples: Mapping[str, Any], seconds: float,
    angle_mode: str = "",
) -> dict[str, Any]:  # fmt: skip
    """What a record holds: `better` says of each metric whether lower, higher or closer to `reference` is better."""
    metrics = list(dict.fromkeys(name for found in values.values() for name in found))
    return {
        "kind": kind,
        "dataset": session.spec.name,
        "truth": truth,
        "angle_mode": angle_mode,
        "metrics": metrics,
        "better": {name: better[name] for name in metrics},
        "reference": reference,
        "subjects": summary(values),
        "examples": examples,
        "evaluator": evaluator,
        "settings": settings,
        "provenance": provenance(session.run.seed, session.path),
        "seconds": round(seconds, 1),
        "fps": float(session.spec.fps),
        "skeleton": session.spec.skeleton.name,
    }


def sampling_settings(session: Session, *more: str) -> dict[str, Any]:
    """What all generated motions depend on: weights, data, run, sampler, and `more` of the sampling options."""
    run, sampling = ("seed", "compat", "precision"), ("guidance_param", "guided_share", "sampler", "sampling_steps")
    return {
        "checkpoint_sha256": digest(session.path),
        "dataset": session.spec.name,
        "datapath": str(session.spec.folder(session.data.datapath)),
        **{name: getattr(session.run, name) for name in run},
        **{name: getattr(session.sampling, name) for name in (*sampling, *more)},
    }


def best_median_worst(distance: np.ndarray) -> dict[str, np.ndarray]:
    """Which of N motions, by a distance [N] from what they should be, are shown: two of each kind."""
    order = np.argsort(distance, kind="stable")
    middle = max(0, (len(order) - EXAMPLES) // 2)
    return {
        "best": order[:EXAMPLES],
        "median": order[middle : middle + EXAMPLES],
        "worst": order[-EXAMPLES:][::-1],
    }


def write(stem: Path, content: Mapping[str, Any], text: str, examples: Mapping[str, np.ndarray] | None = None) -> None:
    """Write `<stem>.json`, the table `<stem>.txt` and `<stem>_examples.npz`, each whole; the record last."""
    if examples:
        with atomic_write(beside(stem, "_examples.npz")) as handle:
            np.savez_compressed(handle, **examples)  # type: ignore[arg-type]
    with atomic_write(beside(stem, ".txt")) as handle:
        handle.write(text.encode())
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    content = {**content, "provenance": {"when": when, **content.get("provenance", {})}}
    write_json(beside(stem, ".json"), {"format_version": FORMAT_VERSION, **content})


def beside(stem: Path, ending: str) -> Path:
    """The file of a record with this ending."""
    return stem.with_name(stem.name + ending)


def read(path: str | Path) -> dict[str, Any]:
    """A record. Raises MissingFileError, or DataError for a file that is none."""
    content = read_json(path)
    if not isinstance(content, dict) or not {"subjects", "metrics", "evaluator", "format_version"} <= set(content):
        raise DataError(f"{path} is no record of an evaluation (eval.evaluate, eval.eval_humanml, ... write those)")
    if not is_text(json.dumps(content, ensure_ascii=False)):
        raise DataError(f"{path} holds letters that are none (half of a pair of UTF-16)")
    if content["format_version"] != FORMAT_VERSION:
        raise DataError(f"{path} has the format {content['format_version']}; this version reads {FORMAT_VERSION}")
    return content


def check_comparable(records: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise UsageError unless records, by file name, were made by one evaluator, on one dataset, and of one truth."""
    if not records:
        return
    (first, own), *others = records.items()
    for name, other in others:
        for key in ("sha256", "name"):
            if other["evaluator"].get(key) != own["evaluator"].get(key):
                raise UsageError(
                    f"{_short(first)} was made with the evaluator {_who(own)}, {_short(name)} with {_who(other)}: "
                    "metrics of different evaluators are not compared; evaluate again with one --evaluator_path"
                )
        for key in ("kind", "dataset", "truth", "angle_mode"):
            if other.get(key) != own.get(key):
                raise UsageError(f"{first} has {key} {own.get(key)}, {name} {other.get(key)}: they are not compared")


def _short(path: str) -> str:
    """The end of a path: two of them, and two evaluators, are to fit into a sentence."""
    return str(Path(*Path(path).parts[-2:]))


def _who(record: Mapping[str, Any]) -> str:
    evaluator = record["evaluator"]
    return f"{evaluator.get('name') or evaluator.get('path')} ({evaluator.get('sha256', '')[:8]})"
