"""The one door for motion in a file, whoever wrote it.

`.npy`: `results.npy` of either family; positions [T, J, 3] of 22, 21, 24, 52 or 55 joints (SMPL and its kin in metres,
KIT-ML in millimetres, as published); features [T, 263 or 251] of HumanML3D or KIT-ML; `<name>_smpl_params.npy`.
`.npz`: `results.npz`; packed shards; SMPL parameters as AMASS has them, and as this project writes them; `positions`
[T, J, 3], in metres with `joint_names` and `parents`, without them as in `.npy`. `.bvh`. `.amc` with its `.asf` beside
it. `.glb`, `.gltf`, `.vrm`; `.fbx` through Blender. `.trc`. `.csv` of ours.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from utils.formats import asf_amc, bvh, csv, fbx, gltf, results, shards, smpl_motion, smpl_params, trc
from utils.formats.options import ReadingOptions
from utils.geometry.amass22 import ESTIMATORS, every_third
from utils.geometry.conventions import in_our_world, oddities, unit_of, up_of
from utils.geometry.human import to_smpl22
from utils.geometry.joint_maps import JOINT_SETS
from utils.geometry.motion import Motion
from utils.geometry.skeleton import SKELETONS, Skeleton
from utils.run.arrays import array_names, load_archive, load_array
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.parser import nearest

FEATURES = {263: "smpl22", 251: "kit21"}  # numbers a frame of HumanML3D and KIT-ML
RATES = {"nba": 30.0, "gymnastics": 20.0, "horse": 30.0}  # frames a second of published motion of the 2D family
RATE_KEYS = ("fps", "framerate", "frame_rate", "mocap_framerate", "mocap_frame_rate")  # in the order of their weight
_AMC_RATE = 120.0
_ARRAY_RATE = 20.0  # of what MDM publishes
_WITH_FINGERS = (52, 55)  # joints of SMPL-H, as in HumanML3D's first notebook, and of SMPL-X
_BONES = (1.0, 15.0)  # metres of all bones of a person: 3 to 6, and room for children and giants
_H36M_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
_Reader = Callable[[Path, ReadingOptions, bool], list[Motion]]


def read_motion(path: str | Path, how: ReadingOptions | None = None, raw: bool = False) -> list[Motion]:
    """The clips of a file: metres (MAS's results: as they are), right-handed, y up, finite, at least a frame each.

    `how` says what the file does not say of itself. Where it says nothing, the unit of files that have none is taken
    from the bones and the axis that points up from the rest pose (`utils.geometry.conventions`); `Motion.note` tells
    what was concluded, and what is impossible for a person. `raw` takes motion as it comes: 2D results, as 3D ones with
    z = 0, and numbers that are not finite. `meta` may hold `features`; a file of features alone gives a clip without
    joints, whose `meta` names the `skeleton` to decode them for.
    Raises MissingFileError, DataError, or UsageError for another kind of file.
    """
    path, how = Path(path), how or ReadingOptions()
    reader = READERS.get(path.suffix.lower())
    if reader is None and path.is_dir():
        raise UsageError(f"{path} is a folder: name a file of motion in it")
    if reader is None:
        *most, last = READERS
        raise UsageError(
            f"{path}: motion is read from {', '.join(most)} and {last} files, not from {path.suffix or 'such'}"
        )
    if how.input_fps and not 0 < how.input_fps < math.inf:
        raise UsageError(f"{how.input_fps:g} frames a second is no frame rate")
    if not path.exists():
        raise MissingFileError(f"{path} does not exist")
    if how.person not in ("", "0") and reader not in _CHOOSE:
        raise UsageError(f"--person {how.person}: a {path.suffix} file holds one person, number 0")
    found = reader(path, how, raw)
    if how.clip and reader not in _CHOOSE:
        found = _called(found, how.clip, path)
    for motion in found:
        if not len(motion.positions):
            raise DataError(f"{path}: {motion.name} has no frames")
        if not raw and not all(
            np.isfinite(values).all() for values in (motion.positions, motion.meta.get("features", ()))
        ):
            raise DataError(f"{path}: {motion.name} holds NaN or infinite numbers")
    return [replace(motion, source=str(path)) for motion in found]


def _called(found: list[Motion], name: str, path: Path) -> list[Motion]:
    """The clips of that name. Raises UsageError."""
    named = [motion for motion in found if motion.name == name]
    if not named:
        there = list(dict.fromkeys(motion.name for motion in found))
        raise UsageError(f"--clip {name}: {path} holds {', '.join(there)[:200]}{nearest(name, there)}")
    return named


def _settled(motion: Motion, how: ReadingOptions, unit: float | None = None, up: str | None = None) -> Motion:
    """A clip as found in metres, y up; `unit` and `up` are what its format says of them (None: nothing).

    What was concluded of them, and what is impossible in the clip, is said in its note.
    """
    notes = [motion.note]
    if not how.scale and unit is None:
        name, unit = unit_of(motion)
        notes.append(f"a unit of the file was taken for {unit:.3g} m ({name}, from the bones; else: --scale)")
    if not how.up and up is None and (up := up_of(motion)) != "y":
        notes.append(f"its rest pose stands along {up}, so {up} is up (else: --up)")
    settled = in_our_world(motion, how.scale or unit or 1.0, how.up or up or "y", how.facing)
    return replace(settled, note="; ".join(filter(None, (*notes, oddities(settled)))))


def _rated(motion: Motion, how: ReadingOptions) -> Motion:
    """A clip of a file that says its rate; another one that was given is told to have no say."""
    if how.input_fps in (0, motion.fps):
        return motion
    said = f"the file says {motion.fps:g} frames a second, which holds over --input_fps {how.input_fps:g}"
    return replace(motion, note="; ".join(filter(None, (motion.note, said))))


def array_rate(how: ReadingOptions, path: Path, fps: float) -> ReadingOptions:
    """The same, with `fps` as the rate of `.npy` files, which never say theirs, unless another was given."""
    return how if how.input_fps or path.suffix.lower() != ".npy" else replace(how, input_fps=fps)


def to_skeleton(motion: Motion, skeleton: Skeleton) -> Motion:
    """The clip on the joints of a skeleton: as it is, or found by their names where it is `smpl22`.

    A clip of features alone is passed on if they are of that skeleton. Raises DataError.
    """
    if not motion.joints and motion.meta.get("skeleton") != skeleton.name:
        raise DataError(f"{motion.name} holds features of {motion.meta.get('skeleton')}, not of {skeleton.name}")
    if not motion.joints or motion.joints == skeleton.joints:
        return motion
    if skeleton.name != "smpl22":
        raise DataError(
            f"{motion.name} has {len(motion.joints)} joints ({', '.join(motion.joints)[:200]}), which are not the "
            f"{len(skeleton.joints)} of {skeleton.name}; motion is carried over between people for smpl22 only"
        )
    return to_smpl22(motion)


def find_skeleton(amc: Path) -> Path:
    """The ASF file of an AMC file: the longest name that this one's begins with, or the only one in the folder."""
    known = sorted(path for path in amc.parent.iterdir() if path.suffix.lower() == ".asf")
    named = [path for path in known if f"{amc.stem}_".startswith(f"{path.stem}_")]
    if named:
        return max(named, key=lambda path: len(path.stem))
    if len(known) != 1:
        raise MissingFileError(f"{amc} needs its skeleton: put {amc.stem.rsplit('_', 1)[0]}.asf beside it")
    return known[0]


def _from_bvh(path: Path, how: ReadingOptions, raw: bool) -> list[Motion]:
    return [_settled(_rated(bvh.read(path), how), how)]


def _from_amc(path: Path, how: ReadingOptions, raw: bool) -> list[Motion]:
    return [_settled(asf_amc.read(find_skeleton(path), path, how.input_fps or _AMC_RATE), how, 1.0, "y")]


def _from_csv(path: Path, how: ReadingOptions, raw: bool) -> list[Motion]:
    return [_settled(_rated(csv.read(path), how), how, 1.0, "y")]


def _from_trc(path: Path, how: ReadingOptions, raw: bool) -> list[Motion]:
    return [_settled(_rated(trc.read(path), how), how, 1.0, "y")]


def _from_gltf(path: Path, how: ReadingOptions, raw: bool) -> list[Motion]:
    return [_settled(_rated(motion, how), how, 1.0) for motion in gltf.read(path, how.clip, how.person)]


def _from_fbx(path: Path, how: ReadingOptions, raw: bool) -> list[Motion]:
    return [_settled(_rated(motion, how), how, 1.0) for motion in fbx.read(path, how.clip, how.person)]


def _from_array(path: Path, how: ReadingOptions, raw: bool) -> list[Motion]:
    """Results, positions, features, or the motion of a pose estimator: [T, 17, 3] at 60 fps, which comes at 20."""
    values = load_array(path)
    if how.skeleton_type in ESTIMATORS:
        if values.dtype.kind != "f":
            raise DataError(f"{path} holds no array of 3D joints, which a file of {how.skeleton_type} is")
        motion = (every_third(values, how.skeleton_type) * np.array((1, 1, -1), np.float32)).astype(np.float32)
        return [Motion(motion, 20.0, JOINT_SETS[how.skeleton_type], _H36M_PARENTS, name=path.stem)]
    if values.dtype == object and values.ndim == 0 and isinstance(values.item(), dict) and "thetas" in values.item():
        return [_settled(smpl_params.clip_of(values, path, how.input_fps or _ARRAY_RATE), how, 1.0, "y")]
    if values.dtype == object:
        return _from_results(results.content_of(values, path, raw), path, how, raw)
    if values.dtype.kind in "fiu" and values.ndim == 2 and values.shape[1] in FEATURES:
        name, features = FEATURES[values.shape[1]], values.astype(np.float32)
        nowhere, rate = np.empty((len(values), 0, 3), np.float32), how.input_fps or results.PUBLISHED_RATES[name]
        return [Motion(nowhere, rate, (), (), name=path.stem, meta={"skeleton": name, "features": features})]
    return [_settled(_from_positions(path, values, {}, how), how, 1.0, "y")]


def _from_results(content: Mapping[str, Any], path: Path, how: ReadingOptions, raw: bool) -> list[Motion]:
    rate = how.input_fps or RATES.get(how.skeleton_type)
    found = results.to_motions(content, path, _skeleton(how.skeleton_type), rate, raw)
    changed = bool(how.scale or how.up or how.facing)
    return [_settled(motion, how, 1.0, "y") if changed else motion for motion in found]


def _from_archive(path: Path, how: ReadingOptions, raw: bool) -> list[Motion]:
    """Results without pickle, packed shards, SMPL parameters, or positions."""
    names = array_names(path)
    if "pos_dd" in names:
        return [_settled(motion, how, 1.0, "y") for motion in shards.read(path)]
    if {"poses", "trans", "betas"} <= names:
        clip = smpl_motion.clip_of(path, how.up or "z", how.input_fps)
        return [_settled(_rated(clip, how), replace(how, up=""), 1.0, "y")]
    content = {name: value.item() if value.ndim == 0 else value for name, value in load_archive(path).items()}
    if "motion" in content or "motions" in content:
        return _from_results(content | {"model_kwargs": {"y": content}}, path, how, raw)
    if isinstance(content.get("positions"), np.ndarray):
        return [_settled(_from_positions(path, content["positions"], content, how), how, 1.0, "y")]
    raise DataError(
        f"{path} holds {', '.join(content)[:200] or 'nothing'}; motion is `positions` [T, J, 3] (and joint_names, "
        "parents, fps), `poses`, `trans` and `betas` of SMPL, packed clips, or the results of sampling"
    )


def _skeleton(name: str) -> Skeleton | None:
    """The skeleton of that name; of a set of joints that are only known by their order, one without bones."""
    if name in SKELETONS or not name:
        return SKELETONS.get(name)
    return Skeleton(name, JOINT_SETS[name], (), (-1,) * len(JOINT_SETS[name]))


def _from_positions(path: Path, positions: np.ndarray, told: Mapping[str, Any], how: ReadingOptions) -> Motion:
    """A clip of positions [T, J, 3]; `told` may name its rate, and `joint_names` with `parents`."""
    skeleton, fps = _skeleton(how.skeleton_type), how.input_fps or RATES.get(how.skeleton_type)
    if positions.dtype.kind not in "fiu" or positions.ndim != 3 or positions.shape[2] != 3:
        raise DataError(
            f"{path} holds {positions.dtype} {positions.shape}; motion is positions [T, J, 3], or features [T, "
            f"{' or '.join(map(str, FEATURES))}]"
        )
    if (key := next((key for key in RATE_KEYS if key in told), None)) is not None:
        told = {**told, "fps": told[key]}
    if "joint_names" not in told and skeleton is not None:
        told = {**told, "joint_names": skeleton.joints, "parents": skeleton.parents}
    if "joint_names" in told:
        rate, names, parents = results.named({"fps": fps or 30.0, **told}, path, positions.shape[1])
        return Motion(positions.astype(np.float32), rate, names, parents, name=path.stem)
    fingers = positions.shape[1] - len(SKELETONS["smpl22"].joints) if positions.shape[1] in _WITH_FINGERS else 0
    positions = positions[:, : positions.shape[1] - fingers]
    skeleton, note = results.by_count(path, positions.shape[1])
    note += f"; the {fingers} joints after them are those of hands and face, and were left out" if fingers else ""
    metres = positions.astype(np.float32) * np.float32(1.0 if how.scale else skeleton.metres_per_unit)
    bones = np.linalg.norm(metres[:, 1:] - metres[:, skeleton.parents[1:]], axis=-1).sum(1)
    if len(bones) and not how.scale and not _BONES[0] <= np.median(bones) <= _BONES[1] and np.isfinite(bones).all():
        raise DataError(
            f"{path}: {note}, but then the bones measure {np.median(bones):.3g} m in all (a person's: 3 to 6); "
            "--scale says the unit"
        )
    rate = told.get("fps", fps or results.PUBLISHED_RATES[skeleton.name])
    if "fps" not in told and not fps:
        note += f"; it names no rate: {rate:g} frames a second were taken (`fps` in an .npz says it)"
    known = {"joint_names": skeleton.joints, "parents": skeleton.parents, "fps": rate}
    rate, names, parents = results.named(known, path, positions.shape[1])
    return Motion(metres, rate, names, parents, name=path.stem, meta={"skeleton": skeleton.name}, note=note)


READERS: dict[str, _Reader] = {
    ".bvh": _from_bvh,
    ".amc": _from_amc,
    ".npz": _from_archive,
    ".npy": _from_array,
    ".csv": _from_csv,
    ".trc": _from_trc,
    ".glb": _from_gltf,
    ".gltf": _from_gltf,
    ".vrm": _from_gltf,
    ".fbx": _from_fbx,
}
_CHOOSE = (_from_gltf, _from_fbx)  # which know the clips of a file before they read them
