"""Turn motion capture (BVH, ASF/AMC, AMASS and others) into a dataset folder of 3D clips.

`python -m prepare.mocap --output_dir dataset/mocap2d --sources FILE_OR_FOLDER ...`
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.formats.options import ReadingOptions
from utils.run.errors import DataError, UsageError, run_command
from utils.run.folders import refuse_existing
from utils.run.options import option, parse

if TYPE_CHECKING:
    import numpy as np

    from utils.geometry.motion import Motion


@dataclass(frozen=True)
class MocapOptions(ReadingOptions):
    """What to read and where to put it."""

    sources: tuple[str, ...] = option((), "files or folders of motion: .bvh, .amc, .npz, ...", many=True)
    output_dir: str = option("dataset/mocap2d", "the dataset folder to make")
    overwrite: bool = option(False, "replace what an earlier run wrote there; everything else stays")
    fps: float = option(30.0, "frame rate of the folder")
    test_share: float = option(0.1, "share of clips held out, by a hash of the name, where the source does not say")


def check(options: MocapOptions) -> None:
    """Refuse numbers that mean nothing. Raises UsageError."""
    if options.fps <= 0:
        raise UsageError(f"--fps {options.fps:g}: more than 0 frames a second")
    if not 0 <= options.test_share < 1:
        raise UsageError(f"--test_share {options.test_share:g}: from 0 to less than 1")


def convert(motion: "Motion", source: str, options: MocapOptions) -> tuple[Any, dict[str, Any]]:
    """A clip as positions [T, 16, 3] of the `nba` skeleton at the folder's rate, with its record and its sentences."""
    from data_loaders.common.splits import held_out
    from data_loaders.text.captions import labels_in, sentences
    from utils.geometry import human
    from utils.geometry.resample import resample

    body = human.to_smpl22(motion)
    positions = resample(human.to_nba16(body.positions, body.rotations), motion.fps, options.fps)
    split = motion.meta.get("split") or ("test" if held_out(motion.name, options.test_share) else "train")
    record = {name: motion.meta.get(name, "") for name in ("style", "licence")}
    record |= {"name": f"{source}/{motion.name}", "source": source, "split": split}
    record |= {"actions": list(motion.meta.get("actions", []))}
    labels = {name: motion.meta.get(name) or "" for name in ("style", "content")} | {"texts": list(motion.texts)}
    labels |= {"actions": record["actions"] or labels_in(motion.name)}
    return positions, record | {"texts": sentences(labels, record["name"])}


def in_parts(
    clips: "list[tuple[np.ndarray, dict[str, Any]]]",
) -> "list[tuple[np.ndarray, dict[str, Any]]]":
    """Clips and their records, those that are mirror images or copies of each other in one part."""
    from data_loaders.common.splits import alike, together
    from utils.geometry.skeleton import SKELETONS

    records = [record for _, record in clips]
    told = [record.pop("told_test") for record in records]
    groups = alike([positions for positions, _ in clips], SKELETONS["nba"].mirror)
    parts = together([record["split"] for record in records], groups, told)
    return [(positions, record | {"split": part}) for (positions, record), part in zip(clips, parts, strict=True)]


def main(argv: list[str]) -> None:
    """Run the command."""
    (options,) = parse("prepare.mocap", __doc__ or "", [MocapOptions], argv)
    check(options)
    refuse_existing(options.output_dir, options.overwrite, sure=("index.json",))
    import numpy as np

    from data_loaders.common import packed
    from data_loaders.common.recordings import find_files, read_each
    from utils.formats.reading import read_motion
    from utils.geometry.skeleton import SKELETONS

    files = find_files(options.sources)

    def converted(path: Path) -> Iterator[tuple[np.ndarray, dict[str, Any], str]]:
        for motion in read_motion(path, options):
            positions, record = convert(motion, path.stem if path.suffix == ".npz" else path.suffix[1:], options)
            if positions.shape[1:] != (len(SKELETONS["nba"].joints), 3):
                raise DataError(f"{path}: {motion.name} could not be mapped to the 16 joints of the nba skeleton")
            told_test = motion.meta.get("split") == "test"
            yield positions, record | {"told_test": told_test}, motion.note

    def clips() -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        for path, found in read_each(files, options.sources, converted, lambda text: print(text, file=sys.stderr)):
            yield from ((positions, record) for positions, record, _ in found)
            guess = "".join(f"; {note}" for note in dict.fromkeys(note for *_, note in found) if note)
            print(f"{path}: {len(found)} clip{'s' * (len(found) != 1)}{guess}")

    made = in_parts(list(clips()))
    count = packed.write(options.output_dir, made, options.fps, "nba", options.overwrite)
    print(f"{count} clips in {options.output_dir}")
    print("next: python -m train.train_mdm --dataset mocap2d --save_dir save/my_model")


if __name__ == "__main__":
    run_command(main)
