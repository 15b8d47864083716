"""Look at motion in a browser: play, scrub, compare samples, mesh, joints, contacts, the cameras of MAS; or at poses.

`python -m visualize.view runs/walk/results.npy` says at which address. `--poses runs/poses/projection_steps/0.npz`
shows the poses of a file one by one with their distances, turns joints, and projects. It needs viser (`pip install
viser`); a page that plays without it, and without Python, is written by `python -m visualize.export ... --format html`.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from body.options import BodyOptions
from model.options import PosePriorOptions
from utils.run.errors import DataError, UsageError, run_command
from utils.run.options import RunOptions, option, parse

if TYPE_CHECKING:
    from visualize.page.poses import PoseViewer
    from visualize.page.viewer import View


@dataclass(frozen=True)
class ViewOptions:
    """Where the viewer is found, and what it offers."""

    port: int = option(8080, "of the address; the next free one if it is taken", min=0, max=65535)
    host: str = option("127.0.0.1", "who may look on: this machine only, or 0.0.0.0 for all that reach it")
    poses: str = option("", "a file of poses, such as steps of sample.poses, or of motion, in place of the input")
    num_views: int = option(7, "cameras of MAS that are offered for motion that it made", min=1)


def mas_views(path: str, count: int) -> "list[View]":
    """The cameras through which MAS saw the motions of a results file; none for other files."""
    from data_loaders.registry import dataset_spec
    from utils.formats import results
    from visualize.page.viewer import even_camera_views

    try:
        content = results.load(path) if Path(path).suffix == ".npy" else {}
    except DataError:  # another kind of motion file
        return []
    if "motions" not in content or not content.get("dataset"):
        return []
    spec = dataset_spec(content["dataset"])
    return even_camera_views(count, spec.elevation, spec.camera_distance * spec.skeleton.metres_per_unit)


def pose_viewer(which: BodyOptions, wanted: ViewOptions, prior: PosePriorOptions, run: RunOptions) -> "PoseViewer":
    """The viewer of all poses of a file. Raises UsageError, MissingFileError, DataError."""
    import torch

    from body.models import load_body
    from body.posing.sources import read_poses
    from model.poses.reading import load_pose_ndf
    from utils.run.device import device_of
    from visualize.page.poses import open_pose_viewer

    if which.body == "capsules":
        raise UsageError("--body capsules: poses are those of SMPL's joints; choose smpl, free or an SMPL file")
    network = load_pose_ndf(prior.model_path, prior.model_config, prior.parents, device_of(run))
    poses = torch.cat([each.poses for each in read_poses(which, prior.order, print)])
    return open_pose_viewer(poses, network, load_body(which.body), wanted.host, wanted.port)


def main(argv: list[str]) -> None:
    """Run the command."""
    groups = (RunOptions, BodyOptions, ViewOptions, PosePriorOptions)
    run, which, wanted, prior = parse(
        "visualize.view", __doc__ or "", groups, argv, first_word="input_path", advanced=("model_path", "order")
    )
    if wanted.poses and which.input_path:
        raise UsageError("name one file: of motion, or of poses with --poses")

    import torch

    from visualize.page.viewer import open_viewer, require_viser

    require_viser()
    if run.threads:
        torch.set_num_threads(run.threads)
    if wanted.poses:
        viewer = pose_viewer(replace(which, input_path=wanted.poses), wanted, prior, run)
    else:
        from body.from_joints import make_bodies

        motions = make_bodies(which, print)
        viewer = open_viewer(motions, wanted.host, wanted.port, mas_views(which.input_path, wanted.num_views))
    print(f"open http://{viewer.server.get_host()}:{viewer.server.get_port()} in a browser; Ctrl-C ends", flush=True)
    viewer.play()


if __name__ == "__main__":
    run_command(main)
