"""3D motion from a model that has only ever seen 2D keypoints: multi-view ancestral sampling (MAS).

python -m examples.02_motion_from_2d
"""

import sys
from pathlib import Path

import numpy as np

from sample.common.request import make_request
from sample.common.session import open_session
from sample.multiview.sampling import sample_3d
from sample.options import MasLine, parse_sampling_line
from utils.formats.video import write_video
from visualize.sticks.figures import draw_3d


def main(folder: str = "runs/examples", *flags: str) -> None:
    """Sample two dances of three seconds from seven views, in a quarter of the steps; any flag of sample.mas counts."""
    settings = "--action_name dance --num_samples 2 --motion_length 3 --sampler ddim --sampling_steps 25".split()
    line = parse_sampling_line(MasLine, "sample.mas", "", [*settings, *flags])
    session = open_session(line)
    # [B, T, J, 3]: x right, y up, z away from the viewer
    motions = sample_3d(session, make_request(session), line.mas)
    skeleton = session.spec.skeleton
    hip, knee = (skeleton.index(name) for name in ("LHip", "LKnee"))
    thigh = np.linalg.norm(motions[0, :, knee] - motions[0, :, hip], axis=-1) * skeleton.metres_per_unit
    print(f"motions {tuple(motions.shape)}; the left thigh is {thigh.mean():.3f} ± {thigh.std():.3f} m long")

    Path(folder).mkdir(parents=True, exist_ok=True)
    for number, clip in enumerate(motions.numpy()):
        write_video(Path(folder, f"dance_{number}.mp4"), draw_3d(clip, skeleton, "dance"), session.spec.fps)
    print(f"dance_0.mp4 and dance_1.mp4 are in {folder}; the camera goes around")


if __name__ == "__main__":
    main(*sys.argv[1:])
