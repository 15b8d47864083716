"""HumanAct12 (Guo et al. 2020) in the poses of Petrovich et al. (2021): 12 actions, all clips in one part.

On disk: `<datapath>/humanact12poses.pkl`, a dict of lists with one entry a clip: `poses` [T, 72] (axis-angle of 24 SMPL
joints), `joints3D` [T, 24, 3] (metres) and `y`, the number of the action.
"""

from typing import Any

from data_loaders.action import windows as actions
from data_loaders.action.windows import ActionDataset
from data_loaders.options import DataOptions
from data_loaders.registry import DatasetSpec
from utils.run.arrays import load_pickle
from utils.run.errors import DataError

AUGMENTATIONS = actions.AUGMENTATIONS


def load(spec: DatasetSpec, options: DataOptions, compat: str = "none", seed: int = 0, **extra: Any) -> ActionDataset:
    """All clips as windows of `options.num_frames`, whatever part is asked for: the published data have one part.

    Raises MissingFileError, DataError or UsageError with the file and the value in question.
    """
    frames = actions.window_frames(spec, options)
    path = actions.dataset_file(spec, options, "humanact12poses.pkl")
    poses, joints, labels = actions.columns(path, load_pickle(path), ("poses", "joints3D"), ("y",))
    if not poses:
        raise DataError(f"{path} holds no clips")
    clips = []
    for i in actions.chosen(len(poses), options.data_size):
        where = f"{path}: clip {i}"
        clips.append(actions.checked_clip(where, spec, poses[i], actions.root_path(where, joints[i], 0), labels[i]))
    return ActionDataset(spec, clips, frames, spec.actions)
