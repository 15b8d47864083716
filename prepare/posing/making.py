"""From clips to files of poses, and to a folder with their training pairs, in one process or several."""

import multiprocessing
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_loaders.common.splits import alike, together
from data_loaders.poses.folder import INDEX, write_pairs, write_samples
from data_loaders.poses.pairs import PairRule, References, make_pairs, references_of
from data_loaders.poses.sampling import PARTS, Poses, mirrored, mirrored_roots, published_frames, thinned_frames
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, UsageError
from utils.run.files import write_json
from utils.run.folders import RECORD, atomic_folder
from utils.run.names import file_name
from utils.run.progress import ProgressLine
from utils.run.randomness import numpy_rng

_LARGEST = 4096  # poses of a file: files are of like size, for a published batch takes as many rows of each


@dataclass(frozen=True)
class PoseFile:
    """Poses [M, 21, 4] and roots [M, 4] that are kept in one file."""

    name: str
    part: str
    poses: Tensor
    roots: Tensor
    licences: frozenset[str]


def files_of(clips: Sequence[Poses], published: bool, least: float, mirror: bool, seed: int) -> list[PoseFile]:
    """The files of all clips: those of one group and part together, in files of like size.

    Clips that are mirror images or copies of each other are of one part. Frames are drawn by the `published` rule, or
    thinned to poses that are `least` apart. Raises DataError if none are left to train on.
    """
    parts = _parts_of(clips)
    groups: dict[tuple[str, str], list[tuple[Tensor, Tensor, str]]] = {}
    for clip, part in zip(clips, parts, strict=True):
        rng = numpy_rng(seed, "frames", clip.group, clip.name)
        frames = published_frames(len(clip.roots), rng) if published else thinned_frames(clip.quaternions, least)
        poses, roots = clip.quaternions[frames], clip.roots[frames]
        if mirror:
            poses, roots = torch.cat([poses, mirrored(poses)]), torch.cat([roots, mirrored_roots(roots)])
        groups.setdefault((part, clip.group), []).append((poses, roots, clip.licence))
    files = []
    for (part, group), found in sorted(groups.items(), key=lambda item: (PARTS.index(item[0][0]), item[0][1])):
        poses, roots = torch.cat([each[0] for each in found]), torch.cat([each[1] for each in found])
        licences = frozenset(each[2] for each in found if each[2])
        pieces = max(1, -(-len(poses) // _LARGEST))
        for number, (some, turned) in enumerate(zip(poses.chunk(pieces), roots.chunk(pieces), strict=True)):
            if len(some):
                files.append(PoseFile(f"{file_name(group, 80)}_{number:03d}", part, some, turned, licences))
    if not any(file.part == "train" for file in files):
        raise DataError("no pose is left to train on: all clips are held out, or too short for --sampling published")
    return files


def _parts_of(clips: Sequence[Poses]) -> list[str]:
    """The part of each clip; where the hashes leave none to train on, those that no source holds out are."""
    groups = alike([clip.positions for clip in clips], SKELETONS["smpl22"].mirror)
    told = [clip.told_test for clip in clips]
    parts = together([clip.part for clip in clips], groups, told)
    if "train" not in parts and not all(told):
        print("note: too few clips to hold some out; those that the source does not hold out are trained on")
        return ["test" if said else "train" for said in told]
    return parts


def counts(files: Sequence[PoseFile]) -> dict[str, tuple[int, int]]:
    """How many files, and poses in them, each part has."""
    return {
        part: (len(own), sum(len(file.poses) for file in own))
        for part in PARTS
        if (own := [file for file in files if file.part == part])
    }


def write(
    folder: str | Path, files: Sequence[PoseFile], own: Sequence[PoseFile], rule: PairRule, index: Mapping[str, Any],
    workers: int, overwrite: bool,
) -> None:  # fmt: skip
    """Write the samples and pairs of `own` files, whose neighbours are sought among all files, as a whole folder."""
    references = torch.cat([file.poses for file in files if file.part == "train"])
    show = ProgressLine("nearest poses")
    with atomic_folder(folder, overwrite) as made:
        for file in own:
            write_samples(made / "samples" / file.part / f"{file.name}.npz", file.poses, file.roots)
        (made / "pairs").mkdir()
        if workers == 1:
            _begin(references_of(references, rule.metric), rule, made)
            for done, file in enumerate(own):
                _write_pairs(file)
                show(done + 1, len(own))
        else:
            _in_processes(references, own, rule, made, workers, show)
        write_json(made / INDEX, index)


def _in_processes(
    references: Tensor, own: Sequence[PoseFile], rule: PairRule, made: Path, workers: int, show: ProgressLine
) -> None:
    """The same work in several processes, each with an index of its own and one thread."""
    with tempfile.TemporaryDirectory(dir=made.parent) as beside:
        path = Path(beside) / "references.npy"
        np.save(path, references.numpy())
        spawned = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, spawned, _begin_process, (path, rule, made)) as pool:
            for done, _ in enumerate(pool.map(_write_pairs, own)):
                show(done + 1, len(own))


_work: dict[str, Any] = {}  # of this process


def _begin_process(path: Path, rule: PairRule, made: Path) -> None:
    torch.set_num_threads(1)
    _begin(references_of(torch.from_numpy(np.load(path)), rule.metric), rule, made)


def _begin(references: References, rule: PairRule, made: Path) -> None:
    _work.update(references=references, rule=rule, made=made)


def _write_pairs(file: PoseFile) -> None:
    """Make and write the pairs of one file."""
    pairs = make_pairs(file.poses, file.name, _work["references"], _work["rule"])
    write_pairs(_work["made"] / "pairs" / file.part / f"{file.name}.npz", pairs)


def join(folder: str | Path, shards: int, overwrite: bool) -> bool:
    """Put the folders of all shards together in `folder`, and remove them, if all are there; whether that was done."""
    folder = Path(folder)
    parts = [folder.with_name(f"{folder.name}_{shard}_of_{shards}") for shard in range(1, shards + 1)]
    if not all((part / INDEX).is_file() for part in parts):
        return False
    indices = [(part / INDEX).read_bytes() for part in parts]
    if len(set(indices)) > 1:
        raise UsageError(f"{parts[0]} and the other shards were not made by one line: make them again")
    with atomic_folder(folder, overwrite) as made:
        for part in parts:
            for path in (path for path in part.rglob("*") if path.is_file() and path.name not in (RECORD, INDEX)):
                (made / path.relative_to(part)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, made / path.relative_to(part))
        (made / INDEX).write_bytes(indices[0])
    for part in parts:
        shutil.rmtree(part)
    return True
