"""A sentence becomes 3D motion: arrays to go on with, and a video to look at.

python -m examples.01_text_to_motion
"""

import sys
from pathlib import Path

from sample.common.plain import sample_plain
from sample.common.request import make_request
from sample.common.session import open_session
from sample.options import TEXT_MODEL, parse_sampling
from utils.formats.video import write_video
from visualize.sticks.figures import draw_world


def main(folder: str = "runs/examples", *flags: str) -> None:
    """Sample two motions of four seconds by DPM-Solver++ in ten steps; any flag of sample.generate changes that."""
    prompt = "a person walks and turns left"
    settings = "--num_samples 2 --motion_length 4 --sampler dpm++ --sampling_steps 10".split()
    options = parse_sampling("sample.generate", "", (), ["--text_prompt", prompt, *settings, *flags], TEXT_MODEL)
    session = open_session(*options)
    features = sample_plain(session, make_request(session))
    joints = session.joints(features).numpy()
    skeleton, fps = session.spec.skeleton, session.spec.fps
    print(f"features {tuple(features.shape)}, joints {joints.shape} of {skeleton.name}, {fps:g} frames a second")

    Path(folder).mkdir(parents=True, exist_ok=True)
    for number, clip in enumerate(joints):
        write_video(Path(folder, f"walk_{number}.mp4"), draw_world(clip, skeleton, prompt), fps)
    print(f"walk_0.mp4 and walk_1.mp4 are in {folder}")


if __name__ == "__main__":
    main(*sys.argv[1:])
