"""Bodies beside each other in one GIF: the moving picture of the README.

python -m examples.07_moving_picture
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from body.from_joints import make_body
from body.models import load_body
from body.options import BodyOptions
from sample.predictor import Predictor
from utils.formats.video import write_video
from visualize.meshes.video import draw_body

PROMPTS = ("a person walks in a clockwise circle", "a person kicks with the left leg",
           "a person raises the right arm, then bows", "a person walks backwards")  # fmt: skip


def main(path: str = "runs/examples/sentences.gif", pixels: str = "200", frames: str = "96", steps: str = "50") -> None:
    """Sample a motion of each sentence, put it on the body and draw every second of its first frames, or its last."""
    model, drawn = Predictor("save/mocap_text", sampling_steps=int(steps)), []
    for prompt in PROMPTS:
        (motion,) = model.motions(prompt, num_repetitions=1, seed=5)
        clip = replace(motion, positions=motion.positions[: int(frames)], rotations=None)
        body, _ = make_body(clip, BodyOptions(), load_body())
        shown = [min(frame, len(clip.positions) - 1) for frame in range(0, int(frames), 2)]
        drawn.append(draw_body(body, prompt, int(pixels), frames=shown))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_video(path, (np.concatenate(row, axis=1) for row in zip(*drawn, strict=True)), fps=10)
    print(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
