"""Whether the right action comes out of prompts, as a classifier sees it, and how the motion compares with real motion.

A file of prompts has a line `kind: sentence` for each, the kind being one of `recognition.KINDS`. A prompt is right if
more than half of its motions are taken for its kind. Metrics of a motion (`metrics_of`): `speed`, the mean speed of the
joints in the world below 4 Hz (m/s); `sliding`, how fast the foot that carries moves over the floor (m/s, see `feet`);
`jitter`, the mean length of the joints' third time derivative in the world (m/s^3). Each is set against the mean over
windows of real motion of the same kind, as long as the generated motions (shorter clips whole).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_loaders.representations import hml
from eval.metrics.physical import SWIFT, band
from eval.recognition.classifier import (
    KINDS,
    RealMotions,
    Recogniser,
    accuracy,
    all_windows,
    confusion,
    cross_confusion,
    draw_windows,
    equal_windows,
    train,
)
from sample.common.plain import sample_plain
from sample.common.request import read_lines, requested_frames
from sample.common.session import Request, Session
from sample.endless.windows import STANDING, find_prefix, sample_endless
from sample.options import PrefixOptions
from utils.geometry.contacts import sliding
from utils.geometry.smoothing import derivative
from utils.run.errors import DataError, NumericError, UsageError
from utils.run.files import write_json
from utils.run.folders import atomic_folder
from utils.run.parser import nearest
from utils.run.provenance import provenance
from visualize.sticks.contact_sheet import write_world_sheet

METRICS = ("speed", "sliding", "jitter")
SPEED = (0.75, 1.3)  # times real: the speeds that count as those of the action
MOST = 1.3  # times real: the sliding and the jitter that still count as real
REAL_WINDOWS = 200  # of each kind, at most


@dataclass(frozen=True)
class Prompt:
    """A sentence, and the kind of motion that it asks for."""

    kind: str
    sentence: str


def read_prompts(path: str) -> list[Prompt]:
    """The prompts of a file. Raises MissingFileError, or DataError for a line without a known kind."""
    prompts = []
    for line in read_lines(path, "--prompts"):
        kind, colon, sentence = (part.strip() for part in line.partition(":"))
        if kind not in KINDS or not sentence:
            near = nearest(kind, KINDS) if colon else ""
            raise DataError(f"{path}: {line!r} is not `kind: sentence`{near}; kinds are {', '.join(KINDS)}")
        prompts.append(Prompt(kind, sentence))
    return prompts


def check_kinds(prompts: Sequence[Prompt], real: RealMotions) -> None:
    """Raise DataError if a prompt asks for a kind that no real clip shows."""
    there = {KINDS[kind] for shown in real.shown for kind in shown}
    for prompt in prompts:
        if prompt.kind not in there:
            raise DataError(f"no real clip shows {prompt.kind!r}: there is nothing to evaluate {prompt.sentence!r} by")


def known_sentences(prompts: Sequence[Prompt], captions: Sequence[str]) -> list[bool]:
    """Which prompts are captions, letter case, outer spaces and a full stop aside."""
    known = {_plain(caption) for caption in captions}
    return [_plain(prompt.sentence) in known for prompt in prompts]


def _plain(sentence: str) -> str:
    return sentence.strip().rstrip(".").rstrip().lower()


def make_motions(session: Session, prompts: Sequence[Prompt]) -> np.ndarray:
    """`--num_samples` motions of each prompt, joints in the world [S, P, T, J, 3].

    A model that is shown the frames before goes on from a person who stands. More samples change none of the first.
    Raises UsageError for a model that reads no sentences, NumericError.
    """
    if session.encode is None:
        raise UsageError(f"{session.path} reads no sentences")
    samples, frames = session.sampling.num_samples, requested_frames(session)
    sentences = [prompt.sentence for prompt in prompts] * samples
    request = Request(torch.full((len(sentences),), frames), titles=sentences)
    if session.model_options.context_len:
        prefix = find_prefix(session, PrefixOptions(prefix_motion=STANDING), len(sentences))
        features = sample_endless(session, replace(request, inputs={"prefix": prefix.features})).features
    else:
        told = session.told(sentences, request.lengths.tolist())
        features = sample_plain(session, replace(request, condition=told))
    if not torch.isfinite(features).all():
        raise NumericError("the sampled motions hold NaN or infinity: nothing was written")
    return session.joints(features).view(samples, len(prompts), frames, -1, 3).float().numpy()


def metrics_of(clip: np.ndarray, fps: float, layout: hml.Layout) -> np.ndarray:
    """The `METRICS` [3] of a clip [T, J, 3] in the world, in metres."""
    return np.array(
        (
            derivative(band(clip, fps, SWIFT), fps, 1),
            sliding(clip, fps, (layout.left_feet, layout.right_feet)),
            derivative(clip, fps, 3),
        )
    )


def real_figures(real: RealMotions, kind: str, frames: int) -> np.ndarray:
    """The mean metrics [3] of real windows of a kind that there is."""
    spec, layout = real.motions.spec, hml.layout_of(real.motions.spec.skeleton)
    windows = equal_windows(real, KINDS.index(kind), frames, REAL_WINDOWS)
    return np.mean([metrics_of(clip, spec.fps, layout) for _, clip in windows], axis=0)


def compare(
    prompts: Sequence[Prompt], motions: np.ndarray, real: RealMotions, recogniser: Recogniser
) -> list[dict[str, Any]]:
    """What came of each prompt: what its motions [S, P, T, J, 3] were taken for, their mean metrics, the real ones.

    `real` is the training part, among whose captions the prompts are looked for as well.
    """
    samples, count, frames = motions.shape[:3]
    found = recogniser([clip for row in motions for clip in row]).reshape(samples, count)
    beside = {kind: real_figures(real, kind, frames) for kind in sorted({prompt.kind for prompt in prompts})}
    rows, known = [], known_sentences(prompts, real.motions.captions)
    for p, prompt in enumerate(prompts):
        generated = np.mean([metrics_of(clip, recogniser.fps, recogniser.layout) for clip in motions[:, p]], axis=0)
        names = [KINDS[kind] for kind in found[:, p]]
        rows.append(
            {
                "kind": prompt.kind,
                "sentence": prompt.sentence,
                "in_training": known[p],
                "taken_for": names,
                **verdict(prompt.kind, names),
                "made": dict(zip(METRICS, generated.tolist(), strict=True)),
                "real": dict(zip(METRICS, beside[prompt.kind].tolist(), strict=True)),
                "ratio": dict(zip(METRICS, (generated / beside[prompt.kind]).tolist(), strict=True)),
            }
        )
    return rows


def verdict(kind: str, names: Sequence[str]) -> dict[str, Any]:
    """Whether more than half of the motions were taken for the kind, their share, and what most were taken for."""
    share = names.count(kind) / len(names)
    return {"right": share > 0.5, "share": share, "most": Counter(names).most_common(1)[0][0]}


def summed_up(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The metrics of all prompts together.

    Of each ratio the median over prompts, and how many lie within the bounds; `together` is the generated mean over the
    mean real, in which kinds with next to no sliding of their own weigh little.
    """
    ratios = {name: np.array([row["ratio"][name] for row in rows]) for name in METRICS}
    bounds = {name: SPEED if name == "speed" else (0, MOST) for name in METRICS}
    within = {name: (ratios[name] >= low) & (ratios[name] <= high) for name, (low, high) in bounds.items()}
    return {
        "prompts": len(rows),
        "in_training": sum(row["in_training"] for row in rows),
        "right": sum(row["right"] for row in rows),
        "share": float(np.mean([row["share"] for row in rows])),
        "median_ratio": {name: float(np.median(ratios[name])) for name in METRICS},
        "together": {
            name: sum(row["made"][name] for row in rows) / sum(row["real"][name] for row in rows) for name in METRICS
        },
        "within": {name: int(within[name].sum()) for name in METRICS},
    }


def train_and_measure(learnt: RealMotions, held_out: RealMotions, seed: int, folds: int) -> tuple[Recogniser, dict]:
    """A classifier trained on one part, and how it does on another: `test`, and with `folds` also `folds`.

    Each measure holds the accuracy, the mean of the kinds' (`balanced`), and of each kind the windows, takes and share.
    """
    spec, windows, test = learnt.motions.spec, draw_windows(learnt, seed), all_windows(held_out)
    recogniser = train(windows, seed, spec.fps, hml.layout_of(spec.skeleton))
    measures = {"test": _measure(confusion(recogniser, test), test.kind, test.take)}
    if folds:
        again = all_windows(learnt)
        table = cross_confusion(windows, again, folds, seed, recogniser)
        measures["folds"] = _measure(table, again.kind, again.take)
    return recogniser, measures


def _measure(table: np.ndarray, kind: np.ndarray, take: np.ndarray) -> dict[str, Any]:
    overall, balanced, shares = accuracy(table)
    there = [k for k in range(len(KINDS)) if table[k].any()]
    return {
        "accuracy": overall,
        "balanced": balanced,
        "kinds": {
            KINDS[k]: {
                "windows": int(table[k].sum()),
                "takes": len(set(take[kind == k])),
                "right": float(shares[k]),
                "taken_for": {KINDS[j]: int(table[k, j]) for j in np.argsort(-table[k], kind="stable") if table[k, j]},
            }
            for k in there
        },
    }


def markdown(rows: Sequence[dict[str, Any]], total: dict[str, Any], measures: dict[str, Any]) -> str:
    """The table of the prompts, the sum, and the table of the classifier."""
    lines = [
        "| prompt | asks for | taken for | right | speed | sliding | jitter | in training |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        counts = ", ".join(f"{name} {count}" for name, count in Counter(row["taken_for"]).most_common())
        ratios = " | ".join(f"{row['ratio'][name]:.2f}" for name in METRICS)
        answer, known = ("yes" if row[name] else "no" for name in ("right", "in_training"))
        lines.append(f"| {row['sentence']} | {row['kind']} | {counts} | {answer} | {ratios} | {known} |")
    lines += ["", *summary_lines(total, measures), "", *_classifier_table(measures)]
    return "\n".join(lines)


def summary_lines(total: dict[str, Any], measures: dict[str, Any]) -> list[str]:
    """What it comes to, in sentences."""
    count, (low, high) = total["prompts"], SPEED
    over_real = {
        name: f"median {total['median_ratio'][name]:.2f}, together {total['together'][name]:.2f}; "
        f"{total['within'][name]} of {count}"
        for name in METRICS
    }
    test, folds = measures["test"], measures.get("folds")
    return [
        f"Right: {total['right']} of {count} prompts ({100 * total['share']:.0f} % of the motions); "
        f"{total['in_training']} of the prompts are training sentences.",
        f"Speed over real: {over_real['speed']} within {low} to {high}.",
        f"Foot sliding over real: {over_real['sliding']} at most {MOST}.",
        f"Jitter over real: {over_real['jitter']} at most {MOST}.",
        f"Classifier: right in {100 * test['accuracy']:.1f} % of held-out real windows, "
        f"{100 * test['balanced']:.1f} % as the mean of {len(test['kinds'])} kinds"
        + (f"; {100 * folds['balanced']:.1f} % of {len(folds['kinds'])} kinds on takes left out" if folds else "")
        + ".",
    ]


def _classifier_table(measures: dict[str, Any]) -> list[str]:
    """How the classifier does, kind by kind."""
    columns = [{"test": "test part", "folds": "takes left out"}[name] for name in measures]
    lines = ["| kind | " + " | ".join(f"{name}: right of windows (takes)" for name in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for kind in KINDS:
        cells = [measure["kinds"].get(kind) for measure in measures.values()]
        if any(cells):
            shares = [f"{100 * c['right']:.0f} % of {c['windows']} ({c['takes']})" if c else "-" for c in cells]
            lines.append(f"| {kind} | {' | '.join(shares)} |")
    return lines


def write(
    folder: Path, session: Session, motions: np.ndarray, rows: list[dict[str, Any]], measures: dict[str, Any]
) -> str:
    """Write prompts.md, prompts.json and contact_sheet.png (the first motion of each prompt); return the table."""
    total = summed_up(rows)
    text = markdown(rows, total, measures)
    captions = [
        f"{row['sentence']} ({row['kind']}: {row['taken_for'].count(row['kind'])} of {len(motions)})" for row in rows
    ]
    sampling = session.sampling
    content = {
        "prompts": rows,
        "summary": total,
        "classifier": measures,
        "guidance_param": sampling.guidance_param,
        "guided_share": sampling.guided_share,
        "sampler": sampling.sampler,
        "sampling_steps": sampling.sampling_steps,
        "seconds": motions.shape[2] / session.spec.fps,
        "provenance": provenance(session.run.seed, session.path),
    }
    with atomic_folder(folder, sampling.overwrite) as target:
        (target / "prompts.md").write_text(text + "\n", encoding="utf-8")
        write_json(target / "prompts.json", content)
        write_world_sheet(
            target / "contact_sheet.png", list(motions[0]), session.spec.skeleton, captions, fps=session.spec.fps
        )
    return text
