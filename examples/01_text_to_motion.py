"""A sentence becomes 3D motion: arrays to go on with, and a video to look at.

python -m examples.01_text_to_motion
"""

import sys
from pathlib import Path

from sample.predictor import Predictor
from utils.formats.video import write_video
from utils.geometry.skeleton import SKELETONS
from visualize.sticks.figures import draw_world

PROMPT = "a person walks and turns left"


def main(folder: str = "runs/examples", steps: str = "10") -> None:
    """Sample two motions by DPM-Solver++ in ten steps."""
    model = Predictor("save/mocap_text", sampler="dpm++", sampling_steps=int(steps))  # loaded once, asked many times
    motions = model.motions(PROMPT, num_repetitions=2)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number, motion in enumerate(motions):
        way = motion.positions[-1, 0] - motion.positions[0, 0]  # of the pelvis, metres
        print(f"{motion.positions.shape} at {motion.fps:g} frames a second: {way[2]:.1f} m ahead, {way[0]:.1f} m left")
        video = Path(folder, f"walk_{number}.mp4")
        write_video(video, draw_world(motion.positions, SKELETONS["smpl22"], PROMPT), motion.fps)
        print(video)


if __name__ == "__main__":
    main(*sys.argv[1:])
