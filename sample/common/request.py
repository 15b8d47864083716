"""What to sample, from the options: how long, and under which conditions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data_loaders.common.order import epoch_order
from data_loaders.registry import DatasetSpec
from diffusion.windows import total_frames
from model.denoisers.conditions import HIDDEN
from model.text import lengths
from sample.common.session import Request, Session
from sample.options import DRAWN
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.files import read_text
from utils.run.parser import nearest
from utils.run.randomness import numpy_rng

DEFAULT_SECONDS = 6.0  # where nothing tells a length, and the longest that a sentence tells
SHORTEST_SECONDS = 2.0  # that a sentence tells: shorter windows are in no training


def make_request(session: Session) -> Request:
    """What to sample, from the options: as long as is asked for, as motions of the dataset, or as sentences tell."""
    sampling = session.sampling
    if session.encode and len(sampling.text_prompt) > 1:
        return one_after_another(session, sampling.text_prompt)
    condition, titles = choose_conditions(session, sampling.num_samples)
    inputs = session.compat.data_motions(session) if sampling.use_data else None
    frames = inputs["lengths"] if inputs else None
    if frames is None or sampling.motion_length is not None:
        frames = torch.tensor(frames_of(session, titles))
    if session.encode:
        condition |= session.plan_condition(titles, frames.tolist())
    return Request(frames, condition, titles, inputs)


def one_after_another(session: Session, texts: Sequence[str]) -> Request:
    """Motions in which the prompts follow each other, each as long as `frames_of` says, joined smoothly."""
    sampling, overlap = session.sampling, round(session.sampling.overlap * session.spec.fps)
    count, frames = sampling.num_samples * sampling.num_repetitions, frames_of(session, texts, overlap)
    condition = {name: rows.repeat_interleave(count, 0) for name, rows in session.told(texts, frames).items()}
    segments = Request(torch.tensor(frames).repeat_interleave(count), condition)
    own = [length - overlap for length in frames[:-1]]  # frames before the next prompt begins
    total = total_frames(frames, overlap)
    title = [text for text, length in zip(texts, [*own, total - sum(own)], strict=True) for _ in range(length)]
    return Request(torch.full((count,), total), titles=[title] * count, segments=segments, overlap=overlap)


def frames_of(session: Session, texts: Sequence[str], overlap: int = 0) -> list[int]:
    """The frames of a motion of each sentence: those of `--motion_length`, or without it as many as they usually take.

    Of prompts that follow each other, each sharing `overlap` frames with the next, every one has a second of its own.
    Raises what `requested_frames` does.
    """
    if not tells_lengths(session):
        return [requested_frames(session)] * len(texts)
    longest = _longest(session.spec)
    middles = seconds_told(session, texts)[:, 1].clamp(min(SHORTEST_SECONDS, longest), longest).tolist()
    least = [overlap * ((i > 0) + (i + 1 < len(texts))) + round(session.spec.fps) for i in range(len(texts))]
    return [
        max(frames_in(middle, session.spec), few if overlap else 0) for middle, few in zip(middles, least, strict=True)
    ]


def tells_lengths(session: Session) -> bool:
    """Whether sentences tell how long their motions are: nobody asked for a length, and their vectors are known."""
    asked = session.sampling.motion_length is not None or session.run.compat == "published"
    return session.encode is not None and not asked and lengths.knows(session.encode.name)


def seconds_told(session: Session, texts: Sequence[str]) -> Tensor:
    """The seconds [N, 3] that motions of sentences usually take, least, middle and greatest of two in three."""
    return lengths.seconds_of(session.text_condition(texts)["text"][:, 0])


def _longest(spec: DatasetSpec) -> float:
    """The seconds of a motion of a dataset that nobody asked for a length of, at most."""
    return min(DEFAULT_SECONDS, spec.max_frames / spec.fps) if spec.max_frames else DEFAULT_SECONDS


def requested_frames(session: Session) -> int:
    """The frames that `--motion_length` asks for, else those of six seconds.

    Raises UsageError where they are none, or more than is known.
    """
    spec, seconds = session.spec, session.sampling.motion_length
    if seconds is None:
        seconds = _longest(spec)
    frames = frames_in(seconds, spec)
    if spec.max_frames and frames > spec.max_frames and not session.model_options.context_len:
        raise UsageError(
            f"--motion_length {seconds} s: models of {spec.name} know up to {spec.max_frames / spec.fps:g} s; "
            'name several prompts ("walks" "waves") for one after another'
        )
    return frames


def frames_in(seconds: float, spec: DatasetSpec) -> int:
    """The frames of so many seconds. Raises UsageError where they are none."""
    frames = int(seconds * spec.fps + 1e-6)
    if frames < 1:
        raise UsageError(f"--motion_length {seconds} s is less than a frame at {spec.fps:g} frames a second")
    return frames


def choose_conditions(session: Session, count: int) -> tuple[dict[str, Tensor], list[str]]:
    """The condition and the titles: one entry for every repetition of each of `count` samples.

    A file of prompts or kinds decides the number of samples itself.
    """
    sampling, spec = session.sampling, session.spec
    if session.encode:
        titles = prompts(session, count) * sampling.num_repetitions
        return session.text_condition(titles), titles
    action = choose_actions(session, count).repeat(sampling.num_repetitions)
    titles = [spec.actions[label] if label >= 0 else " ".join(sampling.text_prompt) for label in action.tolist()]
    return ({"action": action} if session.data.cond == "action" else {}), titles


def prompts(session: Session, count: int) -> list[str]:
    """A prompt for each sample: that of the command line, those of a file, or captions of the dataset's test part."""
    sampling = session.sampling
    if sampling.text_prompt:
        return [sampling.text_prompt[0]] * count
    if sampling.input_text:
        return read_lines(sampling.input_text, "--input_text")
    datapath = session.spec.folder(session.data.datapath)
    if not datapath.is_dir():
        raise MissingFileError(
            f'say what shall be done (--text_prompt "a person walks"), or put the dataset into {datapath} '
            "for prompts of its test part"
        )
    read = session.spec.family.function("captions")
    captions = [caption for caption, _ in read(session.spec, datapath, "test")]
    order = epoch_order(session.run.seed, 0, len(captions))
    return [captions[order[i % len(order)]] for i in range(count)]


def read_lines(path: str, flag: str) -> list[str]:
    """The lines of a file that are not empty. Raises MissingFileError or DataError."""
    if not Path(path).is_file():
        raise MissingFileError(f"{flag}: {path} does not exist")
    lines = [line.strip() for line in read_text(path).split("\n") if line.strip()]
    if not lines:
        raise DataError(f"{flag}: {path} holds no line")
    return lines


def choose_actions(session: Session, count: int) -> Tensor:
    """The label [count] of each sample that `--action_name` or `--action_file` asks for. Raises UsageError.

    Without them the family's: any (-1), or where models were trained with one each, one drawn uniformly. `drawn`
    draws sample i's from (seed, i) by the shares that the kinds have in training.
    """
    sampling, spec = session.sampling, session.spec
    name = sampling.action_name or (spec.family.default_action if session.data.cond == "action" else "")
    if sampling.action_file:
        return torch.tensor([_action(spec, line) for line in read_lines(sampling.action_file, "--action_file")])
    if not name:
        return torch.full((count,), HIDDEN)
    if name == DRAWN:
        shares = np.cumsum(spec.action_shares or [1] * len(spec.actions))
        drawn = [numpy_rng(session.run.seed, "action", i).uniform(0, shares[-1]) for i in range(count)]
        return torch.from_numpy(np.searchsorted(shares, drawn, side="right"))
    return torch.full((count,), _action(spec, name))


def _action(spec: DatasetSpec, name: str) -> int:
    """The label of a kind of motion. Raises UsageError."""
    if name not in spec.actions:
        near = nearest(name, spec.actions)
        raise UsageError(f"unknown action {name!r}{near}; choose from {DRAWN}, {', '.join(spec.actions)}")
    return spec.actions.index(name)
