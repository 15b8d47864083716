"""3D motion of the 2D family from files that name no joints: published results of MAS, arrays of pose estimators."""

from pathlib import Path

import numpy as np

from utils.formats.motion_files import read_motion
from utils.geometry.amass22 import ESTIMATORS, every_third
from utils.geometry.joint_maps import JOINT_SETS
from utils.geometry.motion import Motion
from utils.geometry.skeleton import SKELETONS, Skeleton
from utils.run.arrays import load_array
from utils.run.errors import DataError

RATES = {"nba": 30.0, "gymnastics": 20.0, "horse": 30.0}  # frames a second of published motion
_H36M_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)


def read(path: str | Path, skeleton_type: str = "", raw: bool = False) -> list[Motion]:
    """The 3D motions of a file, right-handed, cut to length, for `joint_maps.to_smpl`; `raw`: see `read_motion`.

    What a file says of itself counts; `skeleton_type`, one of `JOINT_SETS`, is for files that name no joints. Motion of
    estimators is one array [T, 17, 3] at 60 fps and comes at 20, as published. Raises MissingFileError and DataError.
    """
    if skeleton_type in ESTIMATORS:
        array = load_array(path)
        if array.dtype.kind != "f":
            raise DataError(f"{path} holds no array of 3D joints, which a file of {skeleton_type} is")
        motion = every_third(array, skeleton_type) * np.array((1, 1, -1), np.float32)
        name = Path(path).stem
        return [Motion(motion.astype(np.float32), 20.0, JOINT_SETS[skeleton_type], _H36M_PARENTS, name=name)]
    return read_motion(path, RATES.get(skeleton_type), skeleton=_skeleton(skeleton_type), raw=raw)


def _skeleton(name: str) -> Skeleton | None:
    """The skeleton of that name; of a set of joints that are only known by their order, one without bones."""
    if name in SKELETONS or not name:
        return SKELETONS.get(name)
    return Skeleton(name, JOINT_SETS[name], (), (-1,) * len(JOINT_SETS[name]))
