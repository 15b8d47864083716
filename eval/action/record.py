"""The files of an evaluation of an action model: the published metrics as YAML, beside them a table and the record."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from eval.action.scores import REAL, UNCONSTRAINED, rows_of
from eval.common.evaluation import Outcome
from eval.reporting import record
from eval.reporting.record import beside
from sample.common.session import Session
from utils.run import checkpoint
from utils.run.files import atomic_write


def stem_of(session: Session, samples: int) -> Path:
    """The path of the metrics and of the files beside them, without endings: by the checkpoint, or in --output_dir.

    Published: `evaluation_results_iter<step>_samp<samples>_scale<guidance>_a2m`, 2.5 written as 2p5.
    """
    unconditional = session.data.cond == "no_cond" or session.model_options.cond_mask_prob == 0
    guidance = 1.0 if unconditional else session.sampling.guidance_param
    scale = "1" if guidance == 1 else str(guidance).replace(".", "p")
    folder = Path(session.sampling.output_dir) if session.sampling.output_dir else session.path.parent
    step = checkpoint.step_of(session.path.name)
    return folder / f"evaluation_results_iter{step}_samp{samples}_scale{scale}_a2m"


def write(stem: Path, outcome: Outcome) -> str:
    """Write `<stem>.yaml`, and the table, record and examples beside it; returns the table."""
    text = table(rows_of(outcome.values))
    write_yaml(beside(stem, ".yaml"), outcome.values)
    record.write(stem, outcome.content, text, outcome.examples)
    return text


def write_yaml(path: Path, values: Mapping[str, Sequence[float]]) -> None:
    """Write the published metrics."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as handle:
        handle.write(yaml_text(values).encode())


def yaml_text(values: Mapping[str, Sequence[float]]) -> str:
    """The published metrics, byte for byte as PyYAML writes {feats: {key: [texts of six digits]}}.

    It quotes texts that YAML would take for numbers: those with a point (1e-05 is a word to it).
    """
    lines = ["feats:"]
    for key in sorted(values):
        texts = [f"{float(value):.6}" for value in values[key]]
        lines += [f"  {key}:", *(f"  - '{text}'" if "." in text else f"  - {text}" for text in texts)]
    return "".join(f"{line}\n" for line in lines)


def table(by_subject: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """The metrics in the form of the other evaluations' tables, those that all subjects have before the rest."""
    shared = [name for name in by_subject[REAL] if all(name in found for found in by_subject.values())]
    text = record.table(by_subject, shared)
    for subject, found in by_subject.items():
        alone = [name for name in found if name not in shared]
        of_poses = {name.removesuffix(UNCONSTRAINED): found[name] for name in alone if name.endswith(UNCONSTRAINED)}
        if others := [name for name in alone if not name.endswith(UNCONSTRAINED)]:
            text += "\n" + record.table({subject: found}, others)
        if of_poses:
            text += "\n" + record.table({subject + UNCONSTRAINED: of_poses}, list(of_poses))
    return text
