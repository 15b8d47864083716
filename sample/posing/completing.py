"""Joints and limbs that are missing in clips, filled in by a pose prior."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from body.options import BodyOptions
from body.posing.bodies import posed
from body.posing.sources import KEYS, Poses, body_of, of_archive
from model.poses.completing import complete
from model.poses.pose_ndf import JOINTS
from model.poses.statistics import BESIDE, PoseStatistics, read_statistics, statistics_of
from sample.options import PosesOptions
from sample.posing.tasks import CLIP_FPS, Outcome
from utils.run.arrays import array_names
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.progress import Callback, ignored
from utils.run.randomness import torch_generator

LIMBS = {
    **{f"{side}_arm": tuple(f"{side}_{part}" for part in ("shoulder", "elbow", "wrist")) for side in ("left", "right")},
    **{
        f"{side}_leg": tuple(f"{side}_{part}" for part in ("hip", "knee", "ankle", "foot"))
        for side in ("left", "right")
    },
    "wrists": ("left_wrist", "right_wrist"),
    "spine": ("spine1", "spine2", "spine3"),
}


def missing_joints(words: Sequence[str]) -> Tensor:
    """The joints that `--missing` names, bool [21]. Raises UsageError."""
    found = torch.zeros(len(JOINTS), dtype=torch.bool)
    for word in words:
        names = LIMBS.get(word, (word,))
        if not set(names) <= set(JOINTS):
            raise UsageError(f"--missing {word}: it takes {', '.join(LIMBS)}, or joints: {', '.join(JOINTS)}")
        found[[JOINTS.index(name) for name in names]] = True
    if found.all():
        raise UsageError("--missing names all joints: nothing is left to complete a pose from")
    return found


def statistics_for(where: str, checkpoint: Path) -> PoseStatistics | None:
    """Those of a folder of prepare.poses or of a file of poses; else of the file beside a checkpoint, None without one.

    Raises MissingFileError and DataError.
    """
    if not where:
        beside = checkpoint.parent / BESIDE
        return read_statistics(beside) if beside.is_file() else None
    path = Path(where)
    files = sorted(path.glob("samples/train/*.npz")) if path.is_dir() else [path]
    if not files:
        raise MissingFileError(f"{path} holds no samples/train/*.npz, which prepare.poses makes")
    poses = []
    for file in files:
        key = next((key for key in KEYS if key in array_names(file)), "")
        if not key:
            raise DataError(f"{file} holds no poses under {' or '.join(KEYS)}")
        poses.append(of_archive(file, key, "wxyz").poses)
    return statistics_of(torch.cat(poses))


def completed(
    network: nn.Module,
    statistics: PoseStatistics | None,
    options: PosesOptions,
    body: BodyOptions,
    seed: int,
    found: Sequence[Poses],
    callback: Callback = ignored,
) -> list[Outcome]:
    """`--num_samples` answers for each clip: the first the likeliest, number i drawn from (seed, i).

    Raises UsageError where nothing is missing, and DataError where a frame lacks all joints.
    """
    absent, made = missing_joints(options.missing), []
    for number, each in enumerate(found):
        known = ~absent.expand(len(each.poses), -1) & (True if each.known is None else each.known)
        if known.all():
            raise UsageError(f"{each.name} lacks nothing: name joints with --missing, or mark them as NaN in the file")
        for answer in range(options.num_samples):
            draw = torch.randn(63, generator=torch_generator(seed, "answer", answer)).double() if answer else None
            moved = complete(network, statistics, each.poses, known, options.max_dist, options.max_steps, draw)
            name = f"{each.name}_{answer}" if options.num_samples > 1 else each.name
            shown = replace(each, poses=moved.poses)
            base = body_of(shown, body, options.pose_fps or CLIP_FPS)
            motion = replace(posed(base, moved.poses), name=name)
            made.append(
                Outcome(
                    name, each.poses, moved.poses, moved.history[0], moved.distances, motion, moved.steps, source=each
                )
            )
        callback(number + 1, len(found))
    return made
