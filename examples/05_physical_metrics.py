"""How well motion fits its floor, its bones and the laws of motion: physical metrics of any clip.

python -m examples.05_physical_metrics [results.npy, .bvh, .npz ...]
"""

import sys
from collections.abc import Sequence

from data_loaders.points.toy import body_motion
from eval.metrics.physical import world_figures
from utils.formats.reading import read_motion
from utils.geometry.human import to_smpl22
from utils.geometry.motion import Motion
from utils.geometry.skeleton import SKELETONS

SKELETON = SKELETONS["smpl22"]


def toys(numbers: Sequence[int] = (1, 2, 4, 7, 11)) -> list[Motion]:
    """Procedural people, for want of files."""
    made = [body_motion(20.0, seed=0, index=index) for index in numbers]
    return [Motion(positions, 20.0, SKELETON.joints, SKELETON.parents, name=label) for positions, label in made]


def main(*paths: str) -> None:
    """Print a line of metrics for each clip: people of any joint names are brought to the 22 joints of SMPL."""
    clips = [to_smpl22(clip) for path in paths for clip in read_motion(path)] or toys()
    for clip in clips:
        floor = float(clip.positions[..., 1].min())
        metrics = world_figures(clip.positions, clip.fps, SKELETON, floor)
        print(f"{clip.name:20}", *(f"{name} {value:.2f}" for name, value in metrics.items()), sep="  ")
    print("jitter in 10 m/s^3, floating and penetration in cm, bone variation in %, sliding and skating in mm a frame")


if __name__ == "__main__":
    main(*sys.argv[1:])
