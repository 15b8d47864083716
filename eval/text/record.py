"""The files of an evaluation of a text model: the published log, and beside it the table and the record."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np

from eval.common.evaluation import Outcome
from eval.metrics.distances import interval
from eval.reporting import record
from eval.reporting.record import beside
from eval.text.scores import DIVERSITY_PAIRS, GENERATED, REAL, TITLES, TextEvaluation, Values, diversity_pairs
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


def write(stem: Path, evaluation: TextEvaluation, outcome: Outcome) -> str:
    """Write `<stem>.log`, and the table, record and examples beside it; returns what is to be printed."""
    text = write_log(beside(stem, ".log"), outcome.values)
    record.write(stem, outcome.content, table(outcome.values), outcome.examples)
    return text + few_pairs(evaluation)


def write_log(path: Path, values: Values) -> str:
    """Write the published log; returns it."""
    text = log_text(values, datetime.now())
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as handle:
        handle.write(text.encode())
    return text


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
            of = [f"---> [{row}] {title}: {found[name][k]:.4f}" for row, found in values.items() if name in found]
            lines += [f"Time: {now}", *of] if of else []
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
    """The metrics in the form of the other evaluations' tables; multimodality, which real motion lacks, by itself."""
    shared = [name for name in values[GENERATED] if name in values[REAL]]
    text = record.table(values, shared)
    alone = [name for name in values[GENERATED] if name not in shared]
    return text + (record.table({GENERATED: values[GENERATED]}, alone) if alone else "")


def few_pairs(evaluation: TextEvaluation) -> str:
    """The line that says so where a set is too small for the published number of pairs, or nothing."""
    few = {row: diversity_pairs(count) for row, count in evaluation.counts().items()}
    said = [f"{pairs} of {row}" for row, pairs in few.items() if pairs < DIVERSITY_PAIRS]
    return f"Diversity is that of fewer than {DIVERSITY_PAIRS} pairs: {', '.join(said)}\n" if said else ""
