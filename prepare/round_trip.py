"""Print what motion loses on its way through the features of HumanML3D and back.

`python -m prepare.round_trip --sources FILE_OR_FOLDER ...` for recordings, `--dataset mocap` for a dataset folder.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_loaders.registry import DATASETS, dataset_spec
from utils.formats.options import ReadingOptions
from utils.run.errors import DataError, MissingFileError, UsageError, run_command
from utils.run.options import option, parse

if TYPE_CHECKING:
    import numpy as np

    from data_loaders.representations.hml import Layout

FEATURED = tuple(name for name, row in DATASETS.items() if row.representation == "hml")


@dataclass(frozen=True)
class RoundTripOptions(ReadingOptions):
    """Whose motion to look at."""

    sources: tuple[str, ...] = option((), "files or folders of recordings, as for prepare.humanml", many=True)
    dataset: str = option("mocap", "without --sources: the positions of this dataset (new_joints)", FEATURED)
    datapath: str = option("", "its folder (default: the dataset's)")
    fps: float = option(20.0, "frame rate at which recordings are looked at, and of .npy files", min=1)
    num_motions: int = option(200, "look at no more than this many", min=1)


def recorded(options: RoundTripOptions) -> "Iterator[tuple[str, np.ndarray]]":
    """Name and positions [T, 22, 3] of each clip of the sources; what was concluded of a file is told."""
    from data_loaders.common.recordings import find_files
    from utils.formats.reading import array_rate, read_motion
    from utils.geometry.human import to_smpl22
    from utils.geometry.resample import resample

    for path in find_files(options.sources):
        found = read_motion(path, array_rate(options, path, options.fps))
        for note in filter(None, dict.fromkeys(motion.note for motion in found)):
            print(f"note: {path}: {note}", file=sys.stderr)
        for motion in found:
            yield f"{path}: {motion.name}", resample(to_smpl22(motion).positions, motion.fps, options.fps)


def long_enough(clips: "Iterator[tuple[str, np.ndarray]]") -> "Iterator[tuple[str, np.ndarray]]":
    """Those of more than one frame, of which features can be made; others, such as poses, are told and passed over."""
    for name, positions in clips:
        if len(positions) > 1:
            yield name, positions
        else:
            print(f"note: passed over: {name}: a single frame", file=sys.stderr)


def stored(options: RoundTripOptions) -> "Iterator[tuple[str, np.ndarray]]":
    """Name and positions [T, J, 3] of each clip of a dataset folder. Raises MissingFileError."""
    from utils.run.arrays import load_array

    folder = dataset_spec(options.dataset).folder(options.datapath) / "new_joints"
    paths = sorted(folder.glob("[!.]*.npy"))
    if not paths:
        raise MissingFileError(f"{folder} holds no .npy files; name recordings with --sources, or another --datapath")
    for path in paths:
        yield str(path), load_array(path)


def measure(clips: "list[tuple[str, np.ndarray]]", layout: "Layout") -> list[str]:
    """What to say of clips [T, J, 3]: distances between joints before and after. Raises DataError."""
    import numpy as np

    from data_loaders.representations import hml

    errors, published, moved = [], [], []
    unit = 1000 * layout.skeleton.metres_per_unit
    for name, positions in clips:
        try:
            errors.append(hml.round_trip_error(positions, layout, yaw="continuous"))
            published.append(hml.round_trip_error(positions, layout)["positions_max"])
            own, standard = hml.place([positions], layout, None)[0], hml.place([positions], layout)[0]
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        moved.append(float((own - standard).norm(dim=-1).mean()) * unit)
    worst = int(np.argmax([error["positions_max"] for error in errors]))
    flipped = sum(value > 1 + error["positions_max"] for value, error in zip(published, errors, strict=True))

    def row(kind: str) -> str:
        mean = np.mean([error[f"{kind}_mean"] for error in errors])
        return f"mean {mean:.3f} mm, largest {max(error[f'{kind}_max'] for error in errors):.3f} mm"

    return [
        f"{len(clips)} clips of {layout.skeleton.name}, {sum(len(points) for _, points in clips)} frames",
        f"joints from the positions among the features: {row('positions')} ({clips[worst][0]})",
        f"joints from the rotations among the features: {row('rotations')}",
        f"bones brought to the standard lengths: joints move {np.mean(moved):.0f} mm from where the source has them",
        f"turns that the published features tell with the wrong sign: in {flipped} clips (here the sign is right)",
        "not kept by the features: the twist about each bone, and the last frame",
    ]


def main(argv: list[str]) -> None:
    """Run the command."""
    (options,) = parse("prepare.round_trip", __doc__ or "", [RoundTripOptions], argv)
    if options.sources and options.datapath:
        raise UsageError("--sources and --datapath: name one of the two")

    from itertools import islice

    from data_loaders.representations.hml import layout_of

    skeleton = "smpl22" if options.sources else dataset_spec(options.dataset).skeleton
    clips = list(islice(long_enough((recorded if options.sources else stored)(options)), options.num_motions))
    if not clips:
        raise DataError("there is no clip of more than one frame to look at")
    print("\n".join(measure(clips, layout_of(skeleton))))


if __name__ == "__main__":
    run_command(main)
