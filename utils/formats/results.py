"""`results.npy`: what sampling writes. A pickled dict in a published layout plus names of our own, read safely.

MAS: `motions` float32, 2D [B, J, 2, T], or 3D [B, T, J, 3] in the camera frame (x right, y up, z away: left-handed);
`model_kwargs` {"y": {"lengths" int64 [B], ...}}.
MDM: `motion` float32 [N, J, 3, F] (right-handed, in the units of the dataset), `text` N sentences, or N lists of them,
`lengths` int [N], `num_samples`, `num_repetitions`: repetition r of sample s is row r * num_samples + s. Ours:
`features` float32 [N, F, D] as the model made them, `rotations` [N, F, J, 3, 3] relative to the parents where it makes
them, `motion_raw` as `motion`, before feet were held, where they were, `candidates` where motions were chosen.
Ours in both: `fps`, `joint_names`, `parents`, `dataset`, `format_version`, `provenance`.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from utils.geometry.motion import Motion
from utils.geometry.skeleton import SKELETONS, Skeleton, check_tree
from utils.run.arrays import load_array, save_dict
from utils.run.errors import DataError, NumericError, reading
from utils.run.files import atomic_write

FORMAT_VERSION = 1
_MDM_KEYS = ("text", "lengths", "num_samples", "num_repetitions")
_ARRAYS = ("motions", "motion", "motion_raw", "features", "rotations")
PUBLISHED_RATES = {"smpl22": 20.0, "kit21": 12.5, "smpl24": 20.0}  # of motion of HumanML3D, KIT-ML, action data


def write(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write `content` as `results.npy` (a 0-d object array), atomically. Raises NumericError for NaN or infinity."""
    for name in _ARRAYS:
        if not _finite(content.get(name)):
            raise NumericError(f"{name} holds NaN or infinity, so {path} was not written")
    save_dict(path, {**content, "format_version": FORMAT_VERSION})


def write_texts(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write the sentences and lengths of an MDM `results.npy` at `path` beside it: `results.txt`, `results_len.txt`.

    One line a motion; several sentences of one motion are joined by #, as published.
    """
    path = Path(path)
    sentences = ["#".join([text] if isinstance(text, str) else text) for text in content["text"]]
    lengths = [str(int(length)) for length in content["lengths"]]
    for name, lines in ((".txt", sentences), ("_len.txt", lengths)):
        with atomic_write(path.with_name(path.stem + name)) as handle:
            handle.write("\n".join(" ".join(line.split()) for line in lines).encode())


def load(path: str | Path, raw: bool = False) -> dict[str, Any]:
    """The content of a results file, published or ours; `raw`: with numbers that are not finite.

    Raises MissingFileError or DataError.
    """
    return content_of(load_array(path), path, raw)


def content_of(holder: np.ndarray, path: str | Path, raw: bool = False) -> dict[str, Any]:
    """The same of the array that the file `path` holds. Raises DataError."""
    content = holder.item() if holder.dtype == object and holder.ndim == 0 else None
    motions = content.get("motions", content.get("motion")) if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(motions, np.ndarray) or motions.dtype.kind not in "fiu":
        raise DataError(f"{path} holds no motions: it is not a results file of sample.generate or sample.mas")
    if not raw and not all(_finite(content.get(name)) for name in _ARRAYS):
        raise DataError(f"{path} holds NaN or infinite coordinates")
    return content


def read(path: str | Path, **told: Any) -> list[Motion]:
    """The 3D motions of a results file as records in our right-handed frame, cut to length; see `to_motions`."""
    return to_motions(load(path, told.get("raw", False)), path, **told)


def to_motions(
    content: Mapping[str, Any],
    path: str | Path,
    skeleton: Skeleton | None = None,
    fps: float | None = None,
    raw: bool = False,
) -> list[Motion]:
    """The 3D motions of the content of `path` as records, right-handed, y up, cut to length.

    `skeleton` is that of files that name no joints, `fps` (else 30) that of MAS's among them; `raw` takes 2D motions
    too, as 3D ones with z = 0 (and `flat` in their `meta`).

    Those of MDM come in metres; `texts` are their sentences, `meta` has the features if there are any and the name of
    the skeleton, `note` what was concluded of a published file, which names no joints. Raises DataError where the
    motions are 2D, carry no joint names, or are not what is said of them.
    """
    with reading(path, "a results file"):
        if "motion" in content:
            return _from_mdm(content, path, skeleton)
        return _from_mas(content, path, skeleton, fps, raw)


def _from_mas(
    content: Mapping[str, Any], path: str | Path, skeleton: Skeleton | None, fps: float | None, raw: bool
) -> list[Motion]:
    """Motions [B, T, J, 3] of the camera frame, z turned towards the viewer."""
    motions = content["motions"]
    raised = raw and motions.ndim == 4 and motions.shape[2] == 2
    if raised:
        motions = np.pad(motions.transpose(0, 3, 1, 2), ((0, 0), (0, 0), (0, 0), (0, 1)))
    if motions.ndim != 4 or motions.shape[-1] != 3:
        raise DataError(f"{path} holds motions of shape {motions.shape}, not 3D ones [B, T, J, 3]")
    if "joint_names" not in content:
        if skeleton is None:
            raise DataError(f"{path} names no joints (it was not written by this project): say which skeleton it has")
        _check_count(path, motions.shape[2], skeleton)
        content = {"fps": fps or 30.0, **content, "joint_names": skeleton.joints, "parents": skeleton.parents}
    fps, names, parents = named(content, path, motions.shape[2])
    try:
        lengths = content["model_kwargs"]["y"]["lengths"]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} says no lengths") from error
    lengths = _lengths(path, lengths, len(motions), motions.shape[1])
    return [
        Motion(
            motion[:length] * np.array([1, 1, -1], np.float32), fps, names, parents, name=f"result_{i}",
            meta={"flat": True} if raised else {},
        )
        for i, (motion, length) in enumerate(zip(motions, lengths, strict=True))
    ]  # fmt: skip


def _check_count(path: str | Path, joints: int, skeleton: Skeleton) -> None:
    """Raise DataError unless the skeleton that a user names for a file has as many joints."""
    if joints != len(skeleton.joints):
        raise DataError(
            f"{path} holds motions of {joints} joints, but {skeleton.name} has {len(skeleton.joints)}: "
            "say another skeleton"
        )


def _from_mdm(content: Mapping[str, Any], path: str | Path, stated: Skeleton | None) -> list[Motion]:
    """Motions [N, J, 3, F] of the MDM family, in metres."""
    _check_mdm(content, path)
    positions, note = content["motion"].transpose(0, 3, 1, 2), ""
    count, frames, joints = positions.shape[:3]
    lengths = _lengths(path, content["lengths"], count, frames)
    if "joint_names" in content:
        fps, names, parents = named(content, path, joints)
        skeleton = next((row for row in SKELETONS.values() if row.joints == names), None)
    else:
        if stated is not None:
            _check_count(path, joints, stated)
        skeleton, note = by_count(path, joints)
        fps, names, parents = PUBLISHED_RATES[skeleton.name], skeleton.joints, skeleton.parents
        if skeleton.name == "smpl24":
            positions, note = positions * (1, -1, -1), note + ", which published models make upside down"
    positions = (positions * (skeleton.metres_per_unit if skeleton else 1.0)).astype(np.float32)
    meta = {"skeleton": skeleton.name if skeleton else ""}
    found = []
    for i, length in enumerate(lengths):
        features, rotations = (
            content[key][i, :length] if key in content else None for key in ("features", "rotations")
        )
        record = meta | ({} if features is None else {"features": features})
        text = content["text"][i]
        texts = (text,) if isinstance(text, str) else tuple(map(str, text))
        name = f"sample{i % content['num_samples']:02d}_rep{i // content['num_samples']:02d}"
        clip = Motion(positions[i, :length], fps, names, parents, rotations, name, record, texts=texts, note=note)
        found.append(clip)
    return found


def _check_mdm(content: Mapping[str, Any], path: str | Path) -> None:
    """Raise DataError unless the parts of an MDM file fit together (lengths, rate and names apart)."""
    motions, missing = content["motion"], [name for name in _MDM_KEYS if name not in content]
    if missing:
        raise DataError(f"{path} holds motion, but no {', '.join(missing)}: sample.generate did not write it")
    if not isinstance(motions, np.ndarray) or motions.ndim != 4 or motions.shape[2] != 3:
        raise DataError(f"{path} holds motion of shape {np.shape(motions)}, not [samples, joints, 3, frames]")
    count, joints, _, frames = motions.shape
    samples, repetitions = content["num_samples"], content["num_repetitions"]
    whole = all(isinstance(number, int | np.integer) and number > 0 for number in (samples, repetitions))
    if not whole or samples * repetitions != count:
        raise DataError(
            f"{path} holds {count} motions, which are not {samples!r} samples x {repetitions!r} repetitions"
        )
    if len(_listed(content["text"])) != count:
        raise DataError(f"{path} holds {count} motions, but not as many texts")
    for name, shape in (("features", (count, frames)), ("rotations", (count, frames, joints, 3, 3))):
        if name in content and np.shape(content[name])[: len(shape)] != shape:
            raise DataError(
                f"{path} holds {name} of shape {np.shape(content[name])} for motion of shape {motions.shape}"
            )


def by_count(path: str | Path, joints: int) -> tuple[Skeleton, str]:
    """The skeleton that published files of so many joints without names have, and a sentence that says so.

    Raises DataError for another number.
    """
    known = {len(SKELETONS[name].joints): SKELETONS[name] for name in PUBLISHED_RATES}
    if joints not in known:
        counts = ", ".join(f"{count} ({skeleton.name})" for count, skeleton in known.items())
        raise DataError(f"{path} names no joints and has {joints} of them; without names, only {counts} are known")
    skeleton, unit = known[joints], "millimetres" if known[joints].metres_per_unit < 1 else "metres"
    return skeleton, f"it names no joints: {joints} were taken for those of {skeleton.name}, in {unit}"


def named(content: Mapping[str, Any], path: str | Path, joints: int) -> tuple[float, tuple[str, ...], tuple[int, ...]]:
    """Rate, names and parents that a file of ours tells of its joints. Raises DataError unless they fit."""
    names, parents = _listed(content["joint_names"]), _listed(content.get("parents"))
    fps = rate_said(content.get("fps"))
    if not len(names) == len(parents) == joints:
        raise DataError(f"{path} has {len(names)} joint names and {len(parents)} parents for {joints} joints")
    if fps is None:
        raise DataError(f"{path} says fps {str(content.get('fps'))[:40]!r}, which is no frame rate")
    with reading(path, "a file of motion"):
        check_tree(names, parents)
    return fps, tuple(names), tuple(parents)


def rate_said(value: Any) -> float | None:
    """A frame rate as files have it: a number, an array of one, or digits; None for anything else."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(()).item()
    try:
        rate = float(value) if isinstance(value, int | float | np.number | str) else 0.0
    except ValueError:
        return None
    return rate if 0 < rate < math.inf else None


def _listed(values: Any) -> list[Any]:
    values = values.tolist() if isinstance(values, np.ndarray) else values
    values = values if isinstance(values, list | tuple) else ()
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def _lengths(path: str | Path, told: Any, count: int, frames: int) -> list[int]:
    """The frames of each motion. Raises DataError unless they fit the motions."""
    lengths = np.asarray(told if isinstance(told, np.ndarray) else _listed(told))
    fits = lengths.shape == (count,) and lengths.dtype.kind in "iu"
    if not fits or not all(1 <= length <= frames for length in lengths.tolist()):
        raise DataError(f"{path} says lengths {str(lengths)[:80]} for {count} motions of {frames} frames")
    return lengths.tolist()


def _finite(values: Any) -> bool:
    """Whether an array of numbers has neither NaN nor infinity (what is no such array is not looked at)."""
    return not isinstance(values, np.ndarray) or values.dtype.kind != "f" or bool(np.isfinite(values).all())
