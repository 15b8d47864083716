"""What the evaluation of an action model leaves: the published figures as YAML, a table, the record with examples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.action.scores import MADE, REAL, SUBJECTS, ActionEvaluation, Read, Values, gathered, scores, unit_names
from eval.metrics import distances as metrics
from eval.reporting import record
from eval.reporting.record import beside
from sample.common.session import Session
from utils.run import checkpoint
from utils.run.files import atomic_write

BETTER = {"accuracy": "higher", "precision": "higher", "recall": "higher", "fid": "lower", "kid": "lower"}
UNCONSTRAINED = "_unconstrained"


def stem_of(session: Session, samples: int) -> Path:
    """The path of the figures and of the files beside them, without endings: by the checkpoint, or in --output_dir.

    Published: `evaluation_results_iter<step>_samp<samples>_scale<guidance>_a2m`, 2.5 written as 2p5.
    """
    told_nothing = session.data.cond == "no_cond" or session.model_options.cond_mask_prob == 0
    guidance = 1.0 if told_nothing else session.sampling.guidance_param
    scale = "1" if guidance == 1 else str(guidance).replace(".", "p")
    folder = Path(session.sampling.output_dir) if session.sampling.output_dir else session.path.parent
    step = checkpoint.step_of(session.path.name)
    return folder / f"evaluation_results_iter{step}_samp{samples}_scale{scale}_a2m"


def write(stem: Path, evaluation: ActionEvaluation, read: Read, seconds: float) -> str:
    """Write `<stem>.yaml`, and the table, record and examples beside it; returns the table."""
    values = scores(evaluation, read)
    motions, examples = pick_examples(evaluation, read)
    by_subject = rows(values)
    text = table(by_subject)
    stem.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(beside(stem, ".yaml")) as handle:
        handle.write(yaml_text(values).encode())
    record.write(stem, recorded(evaluation, by_subject, examples, seconds), text, motions)
    return text


def yaml_text(values: Mapping[str, Sequence[float]]) -> str:
    """The published figures, byte for byte as PyYAML writes {feats: {key: [texts of six digits]}}.

    It quotes texts that YAML would take for numbers: those with a point (1e-05 is a word to it).
    """
    lines = ["feats:"]
    for key in sorted(values):
        texts = [f"{float(value):.6}" for value in values[key]]
        lines += [f"  {key}:", *(f"  - '{text}'" if "." in text else f"  - {text}" for text in texts)]
    return "".join(f"{line}\n" for line in lines)


def rows(values: Values) -> dict[str, dict[str, list[float]]]:
    """The values by subject and metric: `fid_gen_train` is the metric fid_train of gen."""
    table: dict[str, dict[str, list[float]]] = {subject: {} for subject in SUBJECTS}
    for key, found in values.items():
        name, *rest = key.removesuffix(UNCONSTRAINED).split("_")
        subject = rest.pop(0) if rest else MADE
        ending = UNCONSTRAINED if key.endswith(UNCONSTRAINED) else "".join(f"_{word}" for word in rest)
        table[subject][name + ending] = found
    return table


def table(by_subject: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """The figures in the form of the other evaluations' tables, those that all subjects have before the rest."""
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


def pick_examples(evaluation: ActionEvaluation, read: Read) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Motions of the first seed by the distance from the nearest real one: joints [T, J, 3], y up, and what they are.

    Of UESTC those of the training part.
    """
    ending = next(iter(evaluation.real))
    made, real = (gathered(read, unit_names(evaluation, ending, subject, 0)) for subject in (MADE, REAL))
    distance = metrics.nearest_distance(made["embeddings"], real["embeddings"])
    chosen = record.best_median_worst(distance)
    labels, actions = evaluation.labels(ending, MADE, 0), evaluation.session.spec.actions
    motions, described = {}, {kind: [] for kind in chosen}
    for kind, places in chosen.items():
        for k, place in enumerate(places):
            name = f"{MADE}/{kind}/{k}"
            motions[name] = made["joints"][place, : made["lengths"][place]]
            title = actions[labels[place]] if evaluation.told_actions else ""
            described[kind].append({"motion": name, "distance": float(distance[place]), "title": title})
    return motions, {MADE: described}


def settings_of(evaluation: ActionEvaluation) -> dict[str, Any]:
    """All that the units depend on; more seeds may follow."""
    session = evaluation.session
    return record.sampling_settings(session) | {
        "recogniser": evaluation.judges.identity["name"],
        "recogniser_sha256": evaluation.judges.identity["sha256"],
        "cond": session.data.cond,
        "motions": [len(real) for real in evaluation.real.values()],
        "num_frames": next(iter(evaluation.real.values())).frames,
        "eval_num_samples": evaluation.samples,
    }


def recorded(
    evaluation: ActionEvaluation, by_subject: record.Values, examples: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """All that is known of an evaluation, for its JSON file."""
    names = {name for found in by_subject.values() for name in found}
    return record.content(
        evaluation.session, by_subject, kind="action", truth="3d", reference=REAL, examples=examples,
        better={name: BETTER.get(name.split("_")[0], "closer") for name in names},
        evaluator=evaluation.judges.identity, settings=settings_of(evaluation) | {"num_seeds": evaluation.seeds},
        seconds=seconds,
    )  # fmt: skip
