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
from sample.common.session import Request, Session
from sample.options import DRAWN
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.files import read_text
from utils.run.parser import nearest
from utils.run.randomness import numpy_rng

DEFAULT_SECONDS = 6.0


def make_request(session: Session) -> Request:
    """What to sample, from the options: fixed lengths, or those of motions of the dataset."""
    sampling = session.sampling
    if session.encode and len(sampling.text_prompt) > 1:
        return one_after_another(session, sampling.text_prompt)
    condition, titles = choose_conditions(session, sampling.num_samples)
    inputs = session.compat.data_motions(session) if sampling.use_data else None
    lengths = inputs["lengths"] if inputs else None
    if lengths is None or sampling.motion_length is not None:
        lengths = torch.full((len(titles),), requested_frames(session))
    return Request(lengths, condition, titles, inputs)


def one_after_another(session: Session, texts: Sequence[str]) -> Request:
    """Motions in which the prompts follow each other, `--motion_length` seconds of each, joined smoothly."""
    sampling, frames = session.sampling, requested_frames(session)
    count, overlap = sampling.num_samples * sampling.num_repetitions, round(sampling.overlap * session.spec.fps)
    total = total_frames([frames] * len(texts), overlap)
    condition = {name: rows.repeat_interleave(count, 0) for name, rows in session.text_condition(texts).items()}
    segments = Request(torch.full((len(texts) * count,), frames), condition)
    title = [texts[min(i // (frames - overlap), len(texts) - 1)] for i in range(total)]
    return Request(torch.full((count,), total), titles=[title] * count, segments=segments, overlap=overlap)


def requested_frames(session: Session) -> int:
    """The frames that `--motion_length` asks for. Raises UsageError where they are none, or more than is known."""
    spec, seconds = session.spec, session.sampling.motion_length
    if seconds is None:
        seconds = min(DEFAULT_SECONDS, spec.max_frames / spec.fps) if spec.max_frames else DEFAULT_SECONDS
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
