"""One door for motion in a file: results of sampling, arrays, packed shards, BVH, ASF/AMC.

`.npy`: `results.npy` of either family; positions [T, J, 3] of 22, 21 or 24 joints (SMPL in metres, KIT-ML in
millimetres, as published); features [T, 263 or 251] of HumanML3D or KIT-ML. `.npz`: `results.npz`; packed shards;
`positions` [T, J, 3], in metres with `joint_names` and `parents`, without them as in `.npy`. `.bvh`. `.amc` with its
`.asf` beside it.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from utils.formats import asf_amc, bvh, results, shards
from utils.geometry.human import to_smpl22
from utils.geometry.motion import Motion
from utils.geometry.skeleton import Skeleton
from utils.run.arrays import load_archive, load_array
from utils.run.errors import DataError, MissingFileError, UsageError

FEATURES = {263: "smpl22", 251: "kit21"}  # numbers a frame of HumanML3D and KIT-ML
_AMC_RATE = 120.0
_UNITS = (1.0, 0.1, 0.0254 / 0.45, 0.0254, 0.01)  # metres; the third is that of the CMU recordings
RATE_KEYS = ("fps", "framerate", "frame_rate", "mocap_framerate", "mocap_frame_rate")  # in the order of their weight
_BONES = (1.0, 15.0)  # metres of all bones of a person: 3 to 6, and room for children and giants


def read_motion(
    path: str | Path,
    fps: float | None = None,
    scale: float = 0.0,
    skeleton: Skeleton | None = None,
    raw: bool = False,
) -> list[Motion]:
    """The clips of a file: metres (MAS's results: as they are), right-handed, y up, finite, at least a frame each.

    `fps` is the rate of files that do not say theirs (else that of the published data, 120 for AMC), `scale` metres per
    unit of BVH files (0: guessed), `skeleton` that of files that name no joints; `raw` takes motion as it comes: 2D
    results, as 3D ones with z = 0, and numbers that are not finite. `meta` may hold `features`; a file of features
    alone gives a clip without joints, whose `meta` names the `skeleton` to decode them for.
    Raises MissingFileError, DataError, or UsageError for another kind of file.
    """
    path = Path(path)
    if fps is not None and not 0 < fps < math.inf:
        raise UsageError(f"{fps:g} frames a second is no frame rate")
    match path.suffix.lower():
        case ".npy":
            found = _from_array(path, fps, skeleton, raw)
        case ".npz":
            found = _from_archive(path, fps, skeleton, raw)
        case ".bvh":
            found = [_from_bvh(path, scale)]
        case ".amc" if not path.is_file():
            raise MissingFileError(f"{path} does not exist")
        case ".amc":
            found = [asf_amc.read(find_skeleton(path), path, fps or _AMC_RATE)]
        case suffix:
            raise UsageError(
                f"{path}: motion is read from .npy, .npz, .bvh and .amc files, not from {suffix or 'such'}"
            )
    for motion in found:
        if not len(motion.positions):
            raise DataError(f"{path}: {motion.name} has no frames")
        if not raw and not all(
            np.isfinite(values).all() for values in (motion.positions, motion.meta.get("features", ()))
        ):
            raise DataError(f"{path}: {motion.name} holds NaN or infinite numbers")
    return found


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


def guess_scale(positions: np.ndarray) -> float:
    """Metres per unit of positions [T, J, 3]: the unit in _UNITS that makes the figure nearest to 1.7 m tall."""
    height = np.median(np.ptp(positions[..., 1], axis=1))
    return min(_UNITS, key=lambda unit: abs(float(np.log(max(height, 1e-9) * unit / 1.7))))


def _from_bvh(path: Path, scale: float) -> Motion:
    motion = bvh.read(path)
    unit = scale or guess_scale(motion.positions)
    notes = [motion.note, "" if scale else f"a unit of the file was taken for {unit:.3g} m"]
    note = "; ".join(filter(None, notes))
    return replace(motion, positions=motion.positions * unit, note=note)


def _from_array(path: Path, fps: float | None, skeleton: Skeleton | None, raw: bool) -> list[Motion]:
    """Results, positions or features."""
    values = load_array(path)
    if values.dtype == object:
        return results.to_motions(results.content_of(values, path, raw), path, skeleton, fps, raw)
    if values.dtype.kind in "fiu" and values.ndim == 2 and values.shape[1] in FEATURES:
        name, features = FEATURES[values.shape[1]], values.astype(np.float32)
        nowhere, rate = np.empty((len(values), 0, 3), np.float32), fps or results.PUBLISHED_RATES[name]
        return [Motion(nowhere, rate, (), (), name=path.stem, meta={"skeleton": name, "features": features})]
    return [_from_positions(path, values, {}, fps, skeleton)]


def _from_archive(path: Path, fps: float | None, skeleton: Skeleton | None, raw: bool) -> list[Motion]:
    """Results without pickle, packed shards, or positions."""
    content = load_archive(path)
    if "pos_dd" in content:
        return list(shards.read(path))
    content = {name: value.item() if value.ndim == 0 else value for name, value in content.items()}
    if "motion" in content or "motions" in content:
        return results.to_motions(content | {"model_kwargs": {"y": content}}, path, skeleton, fps, raw)
    if isinstance(content.get("positions"), np.ndarray):
        return [_from_positions(path, content["positions"], content, fps, skeleton)]
    raise DataError(
        f"{path} holds {', '.join(content)[:200] or 'nothing'}; motion is `positions` [T, J, 3] (and joint_names, "
        "parents, fps), packed clips, or the results of sampling"
    )


def _from_positions(
    path: Path, positions: np.ndarray, told: Mapping[str, Any], fps: float | None, skeleton: Skeleton | None = None
) -> Motion:
    """A clip of positions [T, J, 3]; `told` may name its rate, and `joint_names` with `parents`, else of `skeleton`."""
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
    skeleton, note = results.by_count(path, positions.shape[1])
    metres = positions.astype(np.float32) * np.float32(skeleton.metres_per_unit)
    bones = np.linalg.norm(metres[:, 1:] - metres[:, skeleton.parents[1:]], axis=-1).sum(1)
    if len(bones) and not _BONES[0] <= np.median(bones) <= _BONES[1] and np.isfinite(bones).all():
        raise DataError(
            f"{path}: {note}, but then the bones measure {np.median(bones):.3g} m in all (a person's: 3 to 6)"
        )
    rate = told.get("fps", fps or results.PUBLISHED_RATES[skeleton.name])
    if "fps" not in told and not fps:
        note += f"; it names no rate: {rate:g} frames a second were taken (`fps` in an .npz says it)"
    known = {"joint_names": skeleton.joints, "parents": skeleton.parents, "fps": rate}
    rate, names, parents = results.named(known, path, positions.shape[1])
    return Motion(metres, rate, names, parents, name=path.stem, meta={"skeleton": skeleton.name}, note=note)
