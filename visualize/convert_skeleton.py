"""Bring 3D keypoint motion to the 22 joints of AMASS, facing +z, as MAS publishes it; show it and save it.

`python -m visualize.convert_skeleton -p results.npy -s nba --save` writes `<name>_hml.npy` and a video of each motion.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from utils.run.errors import DataError, NumericError, run_command
from utils.run.options import option, parse

if TYPE_CHECKING:
    import numpy as np

# Spelled here, for -h answers before numpy is there; utils.geometry.amass22 has the same.
SOURCES = ("nba", "gymnastics", "motionbert", "elepose")


@dataclass(frozen=True)
class ConvertOptions:
    """What to convert, and where to."""

    motions_path: str = option("", "results.npy of sample.mas, or a pose estimator's array (T, 17, 3)", aliases=("p",))
    skeleton_type: str = option("nba", "the joints of files that do not name theirs", SOURCES, aliases=("s",))
    vis_dir: str = option("visualize/examples", "folder of what is written", aliases=("v",))
    save: bool = option(False, "also write <name>_hml.npy, a dict of motion (N, 22 or 23, 3, T) and lengths (N)")
    num_motions: int = option(10, "make videos of no more than this many", min=0)


def converted(path: str, source: str) -> "tuple[list[np.ndarray], float]":
    """The motions [T, 22 or 23, 3] of a file, cut to length, and their frame rate. Raises what reading does."""
    import numpy as np

    from utils.formats import results
    from utils.formats.reading import RATES
    from utils.geometry.amass22 import ESTIMATORS, estimate_to_nba, facing_z, to_22
    from utils.geometry.skeleton import SKELETONS
    from utils.run.arrays import load_array

    if source in ESTIMATORS:
        array = load_array(path)
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise DataError(f"{path} holds no array of finite 3D joints, which a file of {source} is")
        motions, fps = [estimate_to_nba(array, source)], 20.0
    else:
        content = results.load(path)
        read = results.to_motions(content, path, SKELETONS[source], RATES.get(source))
        if "motions" not in content or read[0].joints != SKELETONS[source].joints:
            raise DataError(f"{path} holds motion of {content.get('dataset', 'other joints')}, not of {source}")
        motions, fps = [motion.positions * (1, 1, -1) for motion in read], read[0].fps
    return [facing_z(to_22(motion, source).astype(np.float32)) for motion in motions], fps


def main(argv: list[str]) -> None:
    """Run the command."""
    (options,) = parse("visualize.convert_skeleton", __doc__ or "", [ConvertOptions], argv, first_word="motions_path")
    import numpy as np

    from utils.formats.video import write_video
    from utils.geometry.skeleton import SKELETONS
    from utils.run.arrays import save_dict
    from visualize.sticks.figures import draw_world

    motions, fps = converted(options.motions_path, options.skeleton_type)
    if not all(np.isfinite(motion).all() for motion in motions):
        raise NumericError(f"{options.motions_path}: the conversion is not finite, so nothing was written")
    folder, name = Path(options.vis_dir), Path(options.motions_path).stem
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for i, motion in enumerate(motions[: options.num_motions]):
        written.append(folder / f"{name}_{i}.mp4")
        write_video(written[-1], draw_world(motion[:, :22], SKELETONS["smpl22"], options.skeleton_type), fps)
    if options.save:
        lengths = np.array([len(motion) for motion in motions])
        whole = np.stack([np.pad(m, ((0, lengths.max() - len(m)), (0, 0), (0, 0)), "edge") for m in motions])
        written.append(folder / f"{name}_hml.npy")
        save_dict(written[-1], {"motion": whole.transpose(0, 2, 3, 1), "lengths": lengths})
    print(f"{len(motions)} motions of {options.skeleton_type} on 22 joints: {', '.join(map(str, written))}")


if __name__ == "__main__":
    run_command(main)
