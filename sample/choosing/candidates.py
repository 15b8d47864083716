"""The best of several motions of each sentence, by the captioner of motion and by the evaluator of sentences together.

The captioner sees what happens in a motion, and that is held against what the sentence tells (`captioner.told`): sides,
directions, turns, counts, order. The evaluator, where the dataset has one of ours, sees whether the motion looks like
the sentence at all. Candidate 0 is the motion that is made without candidates.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from data_loaders.captioner.detect import phases_of
from data_loaders.captioner.told import fit, told
from sample.choosing.evaluator import OURS, SCALE, OwnTextEvaluator, load_contrastive
from sample.common.samples import Chosen, Samples, Title, as_samples
from sample.common.session import Request, Session
from utils.run.errors import NumericError
from utils.run.progress import part_of
from utils.run.project import found

EVALUATOR_COUNTS = 0.5  # of the cosine of sentence and motion, beside a fit of 0 to 1
Sampling = Callable[[Session, Request], Tensor | Samples]
Scores = Callable[[Session, Samples], dict[str, Tensor]]


def best_of(sample: Sampling, count: int, scores: Scores) -> Callable[[Session, Request], Samples]:
    """`sample` so often, and of each motion the candidate whose scores [B] come to most; the first of equals.

    Raises NumericError.
    """

    def best(session: Session, request: Request) -> Samples:
        made, seen = [], []
        for candidate in range(count):
            watched = replace(session, callback=part_of(session.callback, candidate, count))
            asked = replace(request, candidate=candidate)
            made.append(as_samples(asked, sample(watched, asked)))
            if not torch.isfinite(made[-1].features).all():
                raise NumericError("the sampled motions hold NaN or infinity: nothing was written")
            seen.append(scores(session, made[-1]))
        table = {name: torch.stack([each[name] for each in seen], dim=1) for name in seen[0]}  # [B, K]
        summed = total(table)
        taken = summed.argmax(dim=1)
        features = torch.stack([each.features for each in made])[taken, torch.arange(len(taken))]
        return replace(made[0], features=features, chosen=Chosen(taken, summed, table))

    return best


def total(table: dict[str, Tensor]) -> Tensor:
    """What decides: the captioner's fit, and a share of the evaluator's cosine."""
    return table["captioner"] + EVALUATOR_COUNTS * table.get("evaluator", torch.zeros(()))


def scores_of(session: Session) -> Scores:
    """The scores of the motions of a session: `captioner`, and `evaluator` where its dataset has one of ours.

    Raises what loading the evaluator raises.
    """
    path, evaluator = OURS.get(session.spec.name, ""), None
    if path:
        evaluator = load_contrastive(found(path), session.spec, session.device, encode=session.encode)

    def scores(session: Session, samples: Samples) -> dict[str, Tensor]:
        seen = {"captioner": captioner_scores(session, samples)}
        return seen if evaluator is None else {**seen, "evaluator": evaluator_scores(evaluator, samples)}

    return scores


def captioner_scores(session: Session, samples: Samples) -> Tensor:
    """How well what the captioner sees in each motion fits what its sentence tells [B], 0 to 1.

    Of a motion of several sentences the mean over the frames of each.
    """
    joints = samples.joints(session).double().numpy() * session.spec.skeleton.metres_per_unit
    fps, fits = session.spec.fps, []
    for clip, title, length in zip(joints, samples.titles, samples.lengths.tolist(), strict=True):
        fits.append(np.mean([fit(told(text), phases_of(clip[a:b], fps)) for text, a, b in pieces_of(title, length)]))
    return torch.tensor(np.array(fits), dtype=torch.float32)


def evaluator_scores(evaluator: OwnTextEvaluator, samples: Samples) -> Tensor:
    """The cosine of each motion and its sentence [B] in the evaluator's space; of several sentences their mean.

    Pieces too short for the evaluator are left out, and a motion of such pieces alone has 0.
    """
    shortest = evaluator.network.motion.frames_per_token
    rows, texts, clips, lengths = [], [], [], []
    for row, (title, length) in enumerate(zip(samples.titles, samples.lengths.tolist(), strict=True)):
        for text, first, end in pieces_of(title, length):
            if end - first >= shortest:
                rows.append(row)
                texts.append(text)
                clips.append(samples.features[row, first:end])
                lengths.append(end - first)
    if not rows:
        return torch.zeros(len(samples.lengths))
    motion = evaluator.embed_motion(torch.nn.utils.rnn.pad_sequence(clips, True), torch.tensor(lengths))
    cosines = torch.from_numpy((motion * evaluator.embed_text(texts, texts)).sum(1) / SCALE**2).float()
    where = torch.tensor(rows)
    sums = torch.zeros(len(samples.lengths)).index_add(0, where, cosines)
    return sums / torch.bincount(where, minlength=len(sums)).clamp_min(1)


def pieces_of(title: Title, length: int) -> list[tuple[str, int, int]]:
    """The sentences of a motion of so many frames, each with its first frame and the frame after its last."""
    if isinstance(title, str):
        return [(title, 0, length)]
    pieces, first = [], 0
    for text, frames in groupby(title[:length]):
        end = first + len(list(frames))
        pieces.append((text, first, end))
        first = end
    return pieces


def told_of(chosen: Chosen) -> str:
    """Which candidates were taken, for the user."""
    taken = ", ".join(map(str, chosen.taken.tolist()))
    gain = (chosen.total.max(1).values - chosen.total[:, 0]).mean()
    return (
        f"of {chosen.total.shape[1]} candidates each, taken: {taken} (score {gain:+.2f} on the mean over candidate 0)"
    )
