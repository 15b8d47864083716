"""Entry: turn motion capture (BVH, ASF/AMC, packed shards) into a dataset folder of 3D clips.

`python -m prepare.mocap --output_dir dataset/mocap2d --sources FILE_OR_FOLDER ...`
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.run.errors import DataError, MissingFileError, UsageError, run_command
from utils.run.files import refuse_existing
from utils.run.options import option, parse

if TYPE_CHECKING:
    import numpy as np

    from utils.geometry.motion import Motion

_UNITS = (1.0, 0.1, 0.0254 / 0.45, 0.0254, 0.01)  # the third is that of the CMU recordings


@dataclass(frozen=True)
class MocapOptions:
    """What to read and where to put it."""

    sources: tuple[str, ...] = option((), "files or folders: .bvh, .amc (its .asf beside it), packed .npz", many=True)
    output_dir: str = option("dataset/mocap2d", "the dataset folder to make")
    overwrite: bool = option(False, "replace the folder if it exists")
    fps: float = option(30.0, "frame rate of the folder")
    scale: float = option(0.0, "metres per unit of BVH files (0: guessed from the figure's height, and said)")
    test_share: float = option(0.1, "share of clips held out, by a hash of the name, where the source does not say")


def check(options: MocapOptions) -> None:
    """Refuse numbers that mean nothing. Raises UsageError."""
    if options.fps <= 0:
        raise UsageError(f"--fps {options.fps:g}: more than 0 frames a second")
    if options.scale < 0:
        raise UsageError(f"--scale {options.scale:g}: metres per unit, or 0 to guess them")
    if not 0 <= options.test_share < 1:
        raise UsageError(f"--test_share {options.test_share:g}: from 0 to less than 1")


def find_files(sources: tuple[str, ...]) -> list[Path]:
    """All motion files under `sources`, each once, sorted source by source. Raises MissingFileError or UsageError."""
    if not sources:
        raise UsageError("name at least one file or folder: python -m prepare.mocap --sources FILE_OR_FOLDER ...")
    found: list[Path] = []
    for source in map(Path, sources):
        if not source.exists():
            raise MissingFileError(f"{source} does not exist")
        inside = sorted(source.rglob("*")) if source.is_dir() else [source]
        found += [path for path in inside if path.suffix.lower() in (".bvh", ".amc", ".npz")]
    if not found:
        raise MissingFileError(f"no .bvh, .amc or packed .npz file under {', '.join(sources)}")
    return list(dict.fromkeys(found))


def read_clips(path: Path, scale: float) -> Iterator["Motion"]:
    """The clips of one file, in metres. Raises DataError."""
    match path.suffix.lower():
        case ".npz":
            from utils.formats import shards

            yield from shards.read(path)
        case ".bvh":
            from utils.formats import bvh

            motion = bvh.read(path)
            unit = scale or guess_scale(motion.positions)
            meta = {} if scale else {"guess": f"; a unit of the file was taken for {unit:.3g} m (else: --scale)"}
            yield replace(motion, positions=motion.positions * unit, meta=meta)
        case ".amc":
            from utils.formats import asf_amc

            yield asf_amc.read(find_skeleton(path), path)


def find_skeleton(amc: Path) -> Path:
    """The ASF file of an AMC file: the longest name that this one's begins with, or the only one in the folder."""
    known = sorted(path for path in amc.parent.iterdir() if path.suffix.lower() == ".asf")
    named = [path for path in known if f"{amc.stem}_".startswith(f"{path.stem}_")]
    if named:
        return max(named, key=lambda path: len(path.stem))
    if len(known) != 1:
        raise MissingFileError(f"{amc} needs its skeleton: put {amc.stem.rsplit('_', 1)[0]}.asf beside it")
    return known[0]


def guess_scale(positions: "np.ndarray") -> float:
    """Metres per unit of positions [T, J, 3]: the unit in _UNITS that makes the figure nearest to 1.7 m tall."""
    import numpy as np

    height = np.median(np.ptp(positions[..., 1], axis=1))
    return min(_UNITS, key=lambda unit: abs(float(np.log(max(height, 1e-9) * unit / 1.7))))


def convert(motion: "Motion", source: str, options: MocapOptions) -> tuple[Any, dict[str, Any]]:
    """A clip as positions [T, 16, 3] of the `nba` skeleton at the folder's rate, with its record."""
    from data_loaders.splits import held_out
    from utils.geometry import human
    from utils.geometry.resample import resample

    body = human.to_smpl22(motion)
    positions = resample(human.to_nba16(body.positions, body.rotations), motion.fps, options.fps)
    split = motion.meta.get("split") or ("test" if held_out(motion.name, options.test_share) else "train")
    record = {name: motion.meta.get(name, "") for name in ("style", "licence")}
    record |= {"name": f"{source}/{motion.name}", "source": source, "split": split}
    return positions, record | {"actions": list(motion.meta.get("actions", []))}


def main(argv: list[str]) -> None:
    """Run the command."""
    (options,) = parse("prepare.mocap", __doc__ or "", [MocapOptions], argv)
    check(options)
    refuse_existing(options.output_dir, options.overwrite)
    files = find_files(options.sources)

    import numpy as np

    from data_loaders import packed
    from utils.geometry.skeleton import SKELETONS

    def clips() -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        for path in files:
            count, guess = 0, ""
            for motion in read_clips(path, options.scale):
                positions, record = convert(motion, path.stem if path.suffix == ".npz" else path.suffix[1:], options)
                if positions.shape[1:] != (len(SKELETONS["nba"].joints), 3):
                    raise DataError(f"{path}: {motion.name} could not be mapped to the 16 joints of the nba skeleton")
                count, guess = count + 1, motion.meta.get("guess", "")
                yield positions, record
            print(f"{path}: {count} clip{'s' * (count != 1)}{guess}")

    count = packed.write(options.output_dir, clips(), options.fps, "nba", options.overwrite)
    print(f"{count} clips in {options.output_dir}")
    print("next: python -m train.train_mdm --dataset mocap2d --save_dir save/my_model")


if __name__ == "__main__":
    run_command(main)
