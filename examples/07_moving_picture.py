"""Bodies beside each other in one GIF: the moving picture of the README.

python -m examples.07_moving_picture
"""

import sys
from pathlib import Path

import numpy as np

from body.from_joints import make_body
from body.models import load_body
from body.options import BodyOptions
from sample.common.plain import sample_plain
from sample.common.request import make_request
from sample.common.session import open_session
from sample.options import TEXT_MODEL, parse_sampling
from utils.formats.video import write_video
from utils.geometry.motion import Motion
from visualize.meshes.video import draw_body

PROMPTS = ("a person walks and turns left", "a person waves the right hand", "a person dances", "a person runs")


def main(path: str = "runs/examples/sentences.gif", pixels: str = "200", *flags: str) -> None:
    """Sample four seconds of each sentence, put them on the body and draw every second frame."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    (prompts := Path(path).with_suffix(".txt")).write_text("\n".join(PROMPTS), encoding="utf-8")
    settings = ["--input_text", str(prompts), "--motion_length", "4", "--seed", "3"]
    session = open_session(*parse_sampling("sample.generate", "", (), [*settings, *flags], TEXT_MODEL))
    joints, spec = session.joints(sample_plain(session, make_request(session))).numpy(), session.spec
    clips = [Motion(clip, spec.fps, spec.skeleton.joints, spec.skeleton.parents) for clip in joints]
    bodies = [make_body(clip, BodyOptions(), load_body())[0] for clip in clips]
    half = range(0, len(joints[0]), 2)
    drawn = [draw_body(*pair, int(pixels), frames=half) for pair in zip(bodies, PROMPTS, strict=True)]
    write_video(path, (np.concatenate(row, axis=1) for row in zip(*drawn, strict=True)), spec.fps / 2)


if __name__ == "__main__":
    main(*sys.argv[1:])
