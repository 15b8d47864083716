"""What the evaluation of a text model leaves: the published log, and the record with example motions."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from eval.metrics.distances import interval
from eval.reporting import record
from eval.reporting.record import beside
from eval.text.scores import (
    BATCH,
    BETTER,
    DIVERSITY_PAIRS,
    MADE,
    REAL,
    TITLES,
    Read,
    TextEvaluation,
    Values,
    asked,
    diversity_pairs,
    gathered,
    scores,
    unit_names,
)
from sample.common.session import Session
from utils.run.files import atomic_write


def log_stem(session: Session, mode: str) -> Path:
    """The path of the log and of the files beside it, without their endings, beside the checkpoint or in --output_dir.

    Published: `eval_humanml_<folder>_<step>[_gscale<g>]_<mode>`.
    """
    path, sampling = session.path, session.sampling
    guidance = 1.0 if session.model_options.cond_mask_prob == 0 else sampling.guidance_param
    step = path.stem.removeprefix("model").removeprefix("checkpoint_")
    scale = "" if guidance == 1 else f"_gscale{guidance}"
    folder = Path(sampling.output_dir) if sampling.output_dir else path.parent
    return folder / f"eval_humanml_{path.resolve().parent.name}_{step}{scale}_{mode}"


def write(stem: Path, evaluation: TextEvaluation, read: Read, seconds: float) -> str:
    """Write `<stem>.log`, and the table, record and examples beside it; returns what is to be printed."""
    values = scores(evaluation, read)
    motions, examples = pick_examples(evaluation, read)
    text = log_text(values, datetime.now())
    stem.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(beside(stem, ".log")) as handle:
        handle.write(text.encode())
    record.write(stem, recorded(evaluation, values, examples, seconds), table(values), motions)
    return text + few_pairs(evaluation)


def log_text(values: Values, now: datetime) -> str:
    """The published log, line by line; all its times are `now`."""
    lines = []
    for k in range(len(values[REAL]["fid"])):
        lines.append(f"{'=' * 20} Replication {k} {'=' * 20}")
        lines.append(f"Time: {now}")
        for row, found in values.items():
            lines.append(f"---> [{row}] Matching Score: {found['matching_score'][k]:.4f}")
            tops = (f"(top {n}): {found[name][k]:.4f} " for n, name in enumerate(TITLES["R_precision"], start=1))
            lines.append(f"---> [{row}] R_precision: {''.join(tops)}")
        for title, name in (("FID", "fid"), ("Diversity", "diversity"), ("Multimodality", "multimodality")):
            told = [f"---> [{row}] {title}: {found[name][k]:.4f}" for row, found in values.items() if name in found]
            lines += [f"Time: {now}", *told] if told else []
        lines.append("!!! DONE !!!")
    for title, names in TITLES.items():
        lines.append(f"{'=' * 10} {title} Summary {'=' * 10}")
        lines += [_summary(row, found, names) for row, found in values.items() if names[0] in found]
    return "".join(f"{line}\n" for line in lines)


def _summary(row: str, found: Mapping[str, list[float]], names: tuple[str, ...]) -> str:
    """The line of a metric's mean over replications and the half width of its 95 % interval."""
    if len(names) == 1:
        return "---> [{}] Mean: {:.4f} CInterval: {:.4f}".format(row, *interval(np.array(found[names[0]])))
    tops = enumerate((interval(np.array(found[name])) for name in names), start=1)
    return f"---> [{row}]" + "".join(f"(top {k}) Mean: {mean:.4f} CInt: {half:.4f};" for k, (mean, half) in tops)


def table(values: Values) -> str:
    """The figures in the form of the other evaluations' tables; multimodality, which real motion lacks, by itself."""
    shared = [name for name in values[MADE] if name in values[REAL]]
    text = record.table(values, shared)
    alone = [name for name in values[MADE] if name not in shared]
    return text + (record.table({MADE: values[MADE]}, alone) if alone else "")


def settings_of(evaluation: TextEvaluation) -> dict[str, Any]:
    """All that the units depend on."""
    session, settings = evaluation.session, evaluation.settings
    return record.sampling_settings(session) | {
        "evaluator_sha256": evaluation.evaluator.identity["sha256"],
        "data_split": settings.split,
        "num_frames": session.data.num_frames or session.spec.max_frames,
        "motions": len(evaluation.dataset),
        "eval_num_samples": settings.count,
        "multimodality_sentences": settings.sentences,
        "autoregressive_include_prefix": settings.include_prefix,
    }


def pick_examples(evaluation: TextEvaluation, read: Read) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Motions of the first replication by the distance from their sentence: joints [T, J, 3], and what they are."""
    found = gathered(evaluation, read, 0, MADE)
    distance = np.linalg.norm(found["text"] - found["motion"], axis=1)
    chosen = record.best_median_worst(distance)
    wanted = {int(row): f"{MADE}/{kind}/{k}" for kind, rows in chosen.items() for k, row in enumerate(rows)}
    motions: dict[str, np.ndarray] = {}
    for name in unit_names(evaluation, 0, MADE):
        unit = read(name)
        for joints, length, place in zip(unit["joints"], unit["lengths"], unit["place"], strict=True):
            if place in wanted:
                motions[wanted[place]] = joints[:length]
    told = [evaluation.dataset.captions[index] for index in asked(evaluation, 0).captions]
    described = {
        kind: [
            {"motion": wanted[int(row)], "distance": float(distance[row]), "title": told[row]}
            for row in rows
        ]
        for kind, rows in chosen.items()
    }  # fmt: skip
    return motions, {MADE: described}


def recorded(evaluation: TextEvaluation, values: Values, examples: dict[str, Any], seconds: float) -> dict[str, Any]:
    """All that is known of an evaluation, for its JSON file."""
    how_much = {
        "eval_rep_times": evaluation.settings.replications,
        "diversity_pairs": {row: diversity_pairs(count) for row, count in counts(evaluation).items()},
    }
    return record.content(
        evaluation.session, values, kind="text", truth="3d", reference=REAL, examples=examples,
        better={name: BETTER.get(name, "higher") for name in values[MADE]},
        evaluator=evaluation.evaluator.identity, settings=settings_of(evaluation) | how_much, seconds=seconds,
    )  # fmt: skip


def counts(evaluation: TextEvaluation) -> dict[str, int]:
    """Motions of each row."""
    return {REAL: len(evaluation.dataset) // BATCH * BATCH, MADE: evaluation.settings.count}


def few_pairs(evaluation: TextEvaluation) -> str:
    """The line that says so where a set is too small for the published number of pairs, or nothing."""
    few = {row: diversity_pairs(count) for row, count in counts(evaluation).items()}
    told = [f"{pairs} of {row}" for row, pairs in few.items() if pairs < DIVERSITY_PAIRS]
    return f"Diversity is that of fewer than {DIVERSITY_PAIRS} pairs: {', '.join(told)}\n" if told else ""
