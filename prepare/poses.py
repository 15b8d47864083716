"""Turn recorded motion into poses and training pairs for a pose prior (Pose-NDF).

`python -m prepare.poses --sources FILE_OR_FOLDER ... --output_dir dataset/poses`
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.formats.options import ReadingOptions
from utils.run.errors import DataError, UsageError, run_command
from utils.run.folders import refuse_existing
from utils.run.options import option, parse

if TYPE_CHECKING:
    from data_loaders.poses.pairs import PairRule
    from data_loaders.poses.sampling import Poses
    from prepare.posing.making import PoseFile


@dataclass(frozen=True)
class PosesOptions(ReadingOptions):
    """What to read and where to put it."""

    sources: tuple[str, ...] = option(
        (), "files or folders of motion with rotations: packed clips, .npz of AMASS, .bvh, .glb, .amc", many=True
    )
    output_dir: str = option("dataset/poses", "the folder to make")
    overwrite: bool = option(False, "replace what an earlier run wrote there; everything else stays")
    sampling: str = option(
        "thinned",
        "frames that are taken; published: 30 % of 80 % of a clip's, drawn between its first and last tenth",
        ("thinned", "published"),
    )
    min_distance: float = option(
        4e-4, "thinned: frames of a clip that are nearer than this to one before are left out", min=0, max=1
    )
    mirror: bool = option(True, "add the mirror image of each pose")
    noise: str = option(
        "gaussian",
        "published: one positive draw a level for all; gaussian: a draw a pose; tangent: turns of the joints",
        ("published", "gaussian", "tangent"),
    )
    levels: tuple[str, ...] = option(
        ("0", "0.01", "0.05", "0.1", "0.25", "0.5"), "deviations of the noise, in units of a quaternion; 0: clean",
        many=True,
    )  # fmt: skip
    pairs_per_pose: float = option(3.0, "training pairs made of each pose", min=0.01, max=1000)
    k_dist: int = option(
        1, "nearest poses that the distance is told of (published: 5, whose mean counts)", min=1, max=64
    )
    metric: str = option(
        "geodesic", "distance: mean of 1 - |q.r|, weighted by joint, or of |q - r|",
        ("geodesic", "weighted", "euclidean"), advanced=True,
    )  # fmt: skip
    test_share: float = option(
        0.1, "share of clips held out, by a hash of the name, where neither source nor AMASS' parts say", min=0, max=0.9
    )
    val_share: float = option(0.1, "share of the other clips that is for validation", min=0, max=0.9)
    seed: int = option(0, "of frames and noise", min=0, max=2**32 - 1)
    shard: str = option("", "i/n: make the pairs of a part of the files only; the last of n puts all together")
    workers: int = option(1, "processes that look for neighbours", min=1, max=256)


def shard_of(options: PosesOptions) -> tuple[int, int]:
    """The number of this shard, from 1, and how many there are. Raises UsageError."""
    words = (options.shard or "1/1").split("/")
    if len(words) != 2 or not all(word.isdigit() for word in words) or not 1 <= int(words[0]) <= int(words[1]):
        raise UsageError(f"--shard {options.shard}: should be i/n, from 1/n to n/n")
    return int(words[0]), int(words[1])


def rule_of(options: PosesOptions) -> "PairRule":
    """How pairs are made. Raises UsageError for levels that are none."""
    from data_loaders.poses.pairs import PairRule

    try:
        levels = tuple(float(word) for word in options.levels)
    except ValueError:
        raise UsageError(f"--levels {' '.join(options.levels)}: should be numbers, such as 0 0.01 0.05") from None
    if not levels or not all(0 <= level <= 100 for level in levels):
        raise UsageError(f"--levels {' '.join(options.levels)}: should be numbers from 0")
    return PairRule(options.pairs_per_pose, options.noise, levels, options.k_dist, options.metric, options.seed)


def read(options: PosesOptions) -> "list[Poses]":
    """All poses of all clips; each file's number of clips is printed. Raises DataError where there are none."""
    from data_loaders.common.recordings import find_files, read_each
    from data_loaders.poses.sampling import poses_in
    from utils.formats.reading import read_motion

    def converted(path: Path) -> "list[Poses | None]":
        motions = read_motion(path, options)
        shares = options.test_share, options.val_share
        return [poses_in(motion, path, len(motions) > 1, shares) for motion in motions]

    found: list[Poses] = []
    for path, clips in read_each(
        find_files(options.sources), options.sources, converted, lambda text: print(text, file=sys.stderr)
    ):
        there = [clip for clip in clips if clip is not None]
        without = f", {len(clips) - len(there)} of them without rotations" if len(there) < len(clips) else ""
        print(f"{path}: {len(clips)} clip{'s' * (len(clips) != 1)}{without}", flush=True)
        found += there
    if not found:
        raise DataError(f"{', '.join(options.sources)}: no clip there has rotations of a person's joints")
    return found


def index_of(options: PosesOptions, rule: "PairRule", files: "Sequence[PoseFile]") -> dict[str, Any]:
    """What is told of the folder: how it was made, and its files."""
    made = {"sampling": options.sampling, "min_distance": options.min_distance, "mirror": options.mirror}
    licences = sorted({licence for file in files for licence in file.licences})
    rows = [{"name": file.name, "part": file.part, "samples": len(file.poses)} for file in files]
    return {**made, **asdict(rule), "licences": licences, "files": rows}


def main(argv: list[str]) -> None:
    """Run the command."""
    (options,) = parse("prepare.poses", __doc__ or "", [PosesOptions], argv)
    shard, shards = shard_of(options)
    folder = options.output_dir if shards == 1 else f"{options.output_dir}_{shard}_of_{shards}"
    refuse_existing(folder, options.overwrite, sure=("index.json",))
    if not options.sources:
        raise UsageError("name at least one file or folder: python -m prepare.poses --sources FILE_OR_FOLDER ...")

    from prepare.posing import making

    rule = rule_of(options)
    files = making.files_of(
        read(options), options.sampling == "published", options.min_distance, options.mirror, options.seed
    )
    counts = making.counts(files)
    print("; ".join(f"{part}: {poses} poses in {number} files" for part, (number, poses) in counts.items()), flush=True)
    making.write(
        folder, files, files[shard - 1 :: shards], rule, index_of(options, rule, files), options.workers,
        options.overwrite,
    )  # fmt: skip
    done = shards == 1 or making.join(options.output_dir, shards, options.overwrite)
    print(
        f"next: python -m train.train_posendf --poses {options.output_dir} --save_dir save/my_prior"
        if done
        else f"{folder} is done; the last of the {shards} shards makes {options.output_dir}"
    )


if __name__ == "__main__":
    run_command(main)
