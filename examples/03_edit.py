"""Keep the start and the end of a motion and generate what lies between, by a sentence.

python -m examples.03_edit [my_clip.bvh]
"""

import sys
from pathlib import Path

import numpy as np

from data_loaders.points.toy import body_motion
from sample.common.session import open_session
from sample.common.sources import read_sources
from sample.editing.editing import edit_request, edited
from sample.options import TEXT_MODEL, EditLine, parse_sampling_line
from utils.formats.video import write_video
from visualize.sticks.figures import draw_world


def main(path: str = "", folder: str = "runs/examples", *flags: str) -> None:
    """Edit a clip (without one, a procedural walk): a quarter is kept at each end; any flag of sample.edit counts."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    if not path:
        path = str(Path(folder, "toy_walk.npy"))
        np.save(path, body_motion(20.0, seed=0, index=7)[0])  # [T, 22, 3] metres, 20 frames a second
    settings = ["--text_condition", "a person waves", "--num_samples", "1", *flags]
    line = parse_sampling_line(EditLine, "sample.edit", "", settings, TEXT_MODEL)
    session = open_session(line)
    sources = read_sources(session, path)
    samples = edited(session, edit_request(session, line.edit, sources), line.mas, sources)
    assert samples.known is not None
    joints, kept = samples.joints(session), samples.known[0].all(-1).numpy()  # kept [T]: frames that were given
    print(f"{joints.shape[1]} frames, of which {kept.sum()} were kept")
    video = Path(folder, "edited.mp4")
    write_video(video, draw_world(joints[0].numpy(), session.spec.skeleton, "a person waves", given=kept), 20)
    print(f"{video}: blue is kept, orange is generated")


if __name__ == "__main__":
    main(*sys.argv[1:])
