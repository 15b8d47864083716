"""Recorded motion as it comes: which files hold clips, and the clips that each of them holds, in metres.

BVH, ASF/AMC (the skeleton beside the motion), packed shards `.npz`, and positions [T, 22, 3] of the skeleton `smpl22`
as `.npy`, or as `.npz` with `positions` and, if it is known, `fps`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from utils.formats.motion_files import find_skeleton, guess_scale
from utils.geometry.motion import Motion
from utils.geometry.skeleton import SKELETONS
from utils.run.arrays import array_names, load_archive, load_array
from utils.run.errors import DataError, MissingFileError, PolykineError, UsageError

Clip = TypeVar("Clip")
RECORDED = (".bvh", ".amc", ".npz")
POINTS = (*RECORDED, ".npy")


def find_files(sources: Sequence[str], kinds: Sequence[str] = RECORDED) -> list[Path]:
    """All motion files under `sources`, each once, sorted source by source. Raises MissingFileError or UsageError."""
    if not sources:
        raise UsageError("name at least one file or folder: --sources FILE_OR_FOLDER ...")
    found: list[Path] = []
    for source in map(Path, sources):
        if not source.exists():
            raise MissingFileError(f"{source} does not exist")
        inside = sorted(source.rglob("*")) if source.is_dir() else [source]
        found += [path for path in inside if path.suffix.lower() in kinds]
    if not found:
        *most, last = (f"packed {kind}" if kind == ".npz" else kind for kind in kinds)
        raise MissingFileError(f"no {', '.join(most)} or {last} file under {', '.join(sources)}")
    return list(dict.fromkeys(found))


def read_clips(path: Path, scale: float = 0.0, fps: float = 20.0) -> Iterator[Motion]:
    """The clips of one file, in metres. Raises MissingFileError or DataError.

    `scale` is metres per unit of BVH files (0: guessed), `fps` the frame rate of arrays that do not say theirs.
    """
    match path.suffix.lower():
        case ".npz" if "positions" in array_names(path):
            yield _points(path, fps)
        case ".npz":
            from utils.formats import shards

            yield from shards.read(path)
        case ".npy":
            yield _points(path, fps)
        case ".bvh":
            from utils.formats import bvh

            motion = bvh.read(path)
            unit = scale or guess_scale(motion.positions)
            guess = "" if scale else f"a unit of the file was taken for {unit:.3g} m (else: --scale)"
            note = "; ".join(filter(None, (motion.note, guess)))
            yield replace(motion, positions=motion.positions * unit, note=note)
        case ".amc":
            from utils.formats import asf_amc

            yield asf_amc.read(find_skeleton(path), path)


def read_each(
    files: Sequence[Path], sources: Sequence[str], read: Callable[[Path], Iterable[Clip]], say: Callable[[str], None]
) -> Iterator[tuple[Path, list[Clip]]]:
    """Each of the files that `sources` led to, with what `read` makes of it.

    One in a folder that cannot be read is told, and passed over; a file that was named itself is an error, and so is
    the first fault where no file is left.
    """
    named, fault, left = set(map(Path, sources)), None, 0
    for path in files:
        try:
            clips = list(read(path))
        except PolykineError as error:
            if path in named:
                raise
            fault = fault or error
            say(f"note: passed over: {error}")
            continue
        left += 1
        yield path, clips
    if fault and not left:
        raise fault


def _points(path: Path, fps: float) -> Motion:
    """A clip stored as positions [T, 22, 3]. Raises DataError."""
    body = SKELETONS["smpl22"]
    if path.suffix.lower() == ".npz":
        content = load_archive(path, ("positions", "fps"))
        positions, rate = content["positions"], content.get("fps", np.array(fps))
        if rate.size != 1 or rate.dtype.kind not in "fiu":
            raise DataError(f"{path}: fps is {rate}, which is no frame rate")
        fps = float(rate.reshape(()))
    else:
        positions = load_array(path)
    if positions.ndim != 3 or positions.shape[1:] != (len(body.joints), 3) or positions.dtype.kind not in "fiu":
        raise DataError(
            f"{path} holds {positions.dtype} {positions.shape}; a motion is [frames, {len(body.joints)}, 3] in metres"
        )
    if not (np.isfinite(fps) and fps > 0):
        raise DataError(f"{path}: fps is {fps}, which is no frame rate")
    return Motion(positions.astype(np.float32), fps, body.joints, body.parents, None, path.stem)
