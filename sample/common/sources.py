"""Motions to begin with: clips of the dataset, or of a file, as the model of a session sees them."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from data_loaders.common.order import epoch_order
from data_loaders.points.keypoints import denormalise
from data_loaders.registry import DatasetSpec, load_dataset
from data_loaders.representations import hml
from model.denoisers.conditions import HIDDEN
from sample.common.request import requested_frames
from sample.common.samples import caption
from sample.common.session import Session
from utils.formats.options import ReadingOptions
from utils.formats.reading import read_motion, to_skeleton
from utils.geometry.human import to_nba16, to_smpl22
from utils.geometry.motion import Motion
from utils.geometry.resample import resample
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.randomness import numpy_rng

SHORTEST = 3  # frames: one at each end, and one between them


@dataclass(frozen=True)
class Source:
    """A motion and what is said of it.

    `frames` [T, F] are features in data units; for models of 2D motion [T, J, 3], points in the camera frame of MAS,
    about the root where the data are. `title` names it, `action` is its label, `note` says what was concluded of it.
    """

    frames: Tensor
    title: str
    action: int = HIDDEN
    note: str = ""


def read_sources(session: Session, path: str, how: ReadingOptions | None = None) -> list[Source]:
    """At most `--num_samples` motions: the first ones of a file, without one clips of the dataset's test part.

    They are cut to `--motion_length` and to what the model knows. Raises MissingFileError, DataError or UsageError.
    """
    spec, sampling = session.spec, session.sampling
    if path:
        found = [source_of(motion, spec) for motion in first_clips(path, how, sampling.num_samples)]
    else:
        found = _clips(session)
    longest = spec.max_frames if sampling.motion_length is None else requested_frames(session)
    return [_cut(source, longest, spec) for source in found]


def first_clips(path: str, how: ReadingOptions | None, count: int) -> list[Motion]:
    """At most `count` clips of a file, its first ones; where it holds more, the first one's note says so.

    Raises the errors of `read_motion`.
    """
    found = read_motion(path, how)
    if len(found) <= count:
        return found
    which = f"the first {count}" if count > 1 else "the first"
    said = f"{which} of the file's {len(found)} motions; --clip names another"
    note = "; ".join(filter(None, (found[0].note, said)))
    return [replace(found[0], note=note), *found[1:count]]


def source_of(motion: Motion, spec: DatasetSpec) -> Source:
    """A recorded or generated motion as a model of the dataset sees it. Raises DataError."""
    frames = spec.family.function("source")(motion, spec)
    if len(frames) < SHORTEST:
        raise DataError(
            f"{motion.name} makes {len(frames)} frames at {spec.fps:g} a second; at least {SHORTEST} are needed"
        )
    title = caption(list(motion.texts) or motion.name)
    return Source(frames, title, note=motion.note)


def hml_of(motion: Motion, spec: DatasetSpec) -> Tensor:
    """The features [T, F] that come with a motion where they fit, else those of its joints."""
    features = _own_features(motion, spec)
    if features is not None:
        return features
    positions = _at_rate(to_skeleton(motion, spec.skeleton).positions, motion, spec)
    # A frame's features tell the step to the next one, so the last frame has none.
    return hml.encode([positions / spec.skeleton.metres_per_unit], hml.layout_of(spec.skeleton), **spec.encoding)[0]


def rotations_of(motion: Motion, spec: DatasetSpec) -> Tensor:
    """The features [T, F] that come with a motion. Raises DataError where none do."""
    features = _own_features(motion, spec)
    if features is None:
        raise DataError(
            f"{motion.name} holds no features of {spec.name}, whose models know joint rotations, not places: give "
            "results.npy of sample.generate with such a model, or put the dataset there"
        )
    return features


def _own_features(motion: Motion, spec: DatasetSpec) -> Tensor | None:
    """The features that come with a motion, where they are those of the dataset."""
    features = motion.meta.get("features")
    same = motion.meta.get("skeleton") == spec.skeleton.name and motion.meta.get("dataset", spec.name) == spec.name
    if same and features is not None and features.shape[1] == spec.features and motion.fps == spec.fps:
        return torch.from_numpy(np.array(features, np.float32))
    return None


def points_of(motion: Motion, spec: DatasetSpec) -> Tensor:
    """Points [T, J, 3] in the camera frame of MAS, whose z points away."""
    if not motion.joints:
        raise DataError(f"{motion.name} holds features; models of {spec.name} take joints")
    positions = motion.positions
    if motion.joints != spec.skeleton.joints and spec.skeleton.name == "nba":
        person = to_smpl22(motion)
        positions = to_nba16(person.positions, person.rotations)
    elif motion.joints != spec.skeleton.joints:
        positions = to_skeleton(motion, spec.skeleton).positions
    points = torch.from_numpy(_at_rate(positions, motion, spec) * np.array([1, 1, -1], np.float32))
    return points if spec.pinned_root < 0 else points - points[:, spec.pinned_root, None]


def _at_rate(positions: np.ndarray, motion: Motion, spec: DatasetSpec) -> np.ndarray:
    """Positions at the dataset's rate. Raises DataError for fewer than 2 frames."""
    shown = resample(positions, motion.fps, spec.fps)
    if len(shown) < 2:
        raise DataError(f"{motion.name} has {len(positions)} frames, {len(shown)} at {spec.fps:g} a second: too few")
    return shown


def _clips(session: Session) -> list[Source]:
    """Clips of the dataset's test part, the first ones of its order by the seed."""
    spec, sampling, seed = session.spec, session.sampling, session.run.seed
    folder = spec.folder(session.data.datapath)
    if not spec.family.clips:
        raise UsageError(f"name a motion to edit, --input_motion FILE: {spec.name} holds what one camera sees")
    if not folder.is_dir():
        raise MissingFileError(
            f"name a motion to edit (--input_motion FILE), or put the dataset into {folder} for clips of its test part"
        )
    dataset = load_dataset(spec, replace(session.data, data_split="test"), session.run.compat, seed)
    if len(dataset) < sampling.num_samples:
        raise DataError(f"the test part of {folder} holds {len(dataset)} motions; --num_samples {sampling.num_samples}")
    indices = epoch_order(seed, 0, len(dataset), dataset.weights)[: sampling.num_samples].tolist()
    batch = dataset.batch(indices, lambda position: numpy_rng(seed, "data", 0, position))
    frames = denormalise(batch["motion"], dataset.mean, dataset.std)
    facts = zip(*(batch[name].tolist() for name in ("lengths", "caption", "action")), strict=True)
    sources = []
    for clip, (length, sentence, action) in zip(frames, facts, strict=True):
        title = dataset.captions[sentence] if sentence >= 0 else spec.actions[action] if action >= 0 else ""
        sources.append(Source(clip[:length], title, action))
    return sources


def _cut(source: Source, longest: int, spec: DatasetSpec) -> Source:
    """The first frames, at most `longest` (0: all)."""
    if not longest or len(source.frames) <= longest:
        return source
    said = f"cut to its first {longest / spec.fps:g} s ({longest} of {len(source.frames)} frames)"
    return replace(source, frames=source.frames[:longest], note=f"{source.note}; {said}".removeprefix("; "))
