"""Joint positions from anywhere become a skinned body in files that other programs open.

python -m examples.04_body_to_glb
"""

import sys
from pathlib import Path

from body.from_joints import make_body
from body.models import load_body
from body.options import BodyOptions
from data_loaders.points.toy import body_motion
from utils.geometry.motion import Motion
from utils.geometry.skeleton import SKELETONS
from visualize.files.exporting import export


def main(folder: str = "runs/examples", *formats: str) -> None:
    """Put a procedural walk on the body (SMPL if its files are there, else the free one) and export it."""
    positions, label = body_motion(20.0, seed=0, index=7)  # [T, 22, 3] metres, y up; put your own joints here
    skeleton = SKELETONS["smpl22"]
    clip = Motion(positions, 20.0, skeleton.joints, skeleton.parents, name=f"toy_{label}")
    body, notes = make_body(clip, BodyOptions(foot_lock=True), load_body())
    print(*notes, sep="\n")
    for path in export([body], formats or ("glb", "bvh", "npz", "html"), Path(folder), "toy", overwrite=True):
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
