"""Poses by a pose prior (Pose-NDF): generated, made plausible, interpolated, cleaned, completed, scored.

`python -m sample.poses --task generate --num_samples 20`
`python -m sample.poses --task project --input_path take.bvh`
`python -m sample.poses --task interpolate --input_path poses.npz --poses 0 7 -1`
`python -m sample.poses --task fit_image --input_path person.jpg --keypoints person.json`
`python -m sample.poses --task denoise --input_path noisy.npz --truth take.npz`
`python -m sample.poses --task complete --input_path take.npz --missing left_arm --num_samples 3`
`python -m sample.poses --task score --input_path take.npz`
`python -m sample.poses --task perturb --input_path take.npz --noise_magnitude 0.05`
"""

from pathlib import Path
from typing import TYPE_CHECKING

from body.options import BodyOptions
from sample.options import PosesOptions
from utils.run.errors import UsageError, run_command
from utils.run.folders import refuse_existing
from utils.run.options import RunOptions, parse

if TYPE_CHECKING:
    from torch import nn

    from sample.posing.tasks import Outcome

RARE = (
    "skeleton_type", "clip", "fit", "num_smplify_iters", "root", "foot_lock", "pose_prior", "prior_path",
)  # fmt: skip


def output_folder(options: PosesOptions, source: BodyOptions, seed: int) -> Path:
    """Where the results go. Raises UsageError where that may not be written."""
    if options.output_dir:
        folder = Path(options.output_dir)
    else:
        path, name = Path(source.input_path), f"poses_{options.task}_seed_{seed}"
        model = Path(options.model_path)
        folder = path.parent / f"{path.stem}_{name}" if source.input_path else _folder_of(model) / name
    refuse_existing(folder, options.overwrite, sure=("results.npy",) if options.task != "score" else ("clips.csv",))
    return folder


def _folder_of(model: Path) -> Path:
    return model if model.is_dir() else model.parent


def scored(network: "nn.Module", folder: Path, options: PosesOptions, source: BodyOptions) -> list[str]:
    """Write the scores of the clips of a file or a folder, and return the lines that tell of them."""
    from body.posing.sources import read_folder, read_poses
    from sample.posing.scores import Score, told, write_scores
    from sample.posing.tasks import distances_of
    from utils.run.folders import atomic_folder

    path = Path(source.input_path)
    found = (
        read_folder(path, source, options.order, print) if path.is_dir() else read_poses(source, options.order, print)
    )
    scores = [Score(each.name, distances_of(network, each.poses).numpy(), each.fps) for each in found]
    with atomic_folder(folder, options.overwrite) as target:
        write_scores(target, scores, options.threshold)
    return told(scores, options.threshold)


def made_by(
    network: "nn.Module", options: PosesOptions, source: BodyOptions, seed: int, checkpoint: Path
) -> "list[Outcome]":
    """The clips that a task other than `score` makes."""
    from body.posing.sources import read_poses
    from sample.posing import completing, denoising, tasks

    if options.task == "denoise":
        return denoising.denoised(network, options, source, denoising.read_takes(options, source, print), print)
    if options.task == "complete":
        completing.missing_joints(options.missing)
        statistics = completing.statistics_for(options.references, checkpoint)
        if statistics is None:
            print("note: no statistics of poses (--references): missing joints begin anywhere about the T")
        found = read_poses(source, options.order, print, holes=True)
        return completing.completed(network, statistics, options, source, seed, found)
    found = read_poses(source, options.order, print) if source.input_path else []
    if options.task == "generate":
        statistics = completing.statistics_for(options.references, checkpoint)
        return [tasks.generated(network, options, source, seed, found, statistics)]
    if options.task == "project":
        return tasks.made_plausible(network, options, source, found, print)
    if options.task == "perturb":
        return tasks.perturbed_clips(network, options, source, found, seed, print)
    return [tasks.interpolated(network, options, source, found)]


def main(argv: list[str]) -> None:
    """Run the command."""
    run, options, source = parse(
        "sample.poses", __doc__ or "", (RunOptions, PosesOptions, BodyOptions), argv, first_word="task", advanced=RARE
    )
    if options.task != "generate" and not source.input_path:
        wanted = "a picture, or keypoints" if options.task == "fit_image" else "the poses of a file"
        raise UsageError(f"--task {options.task} takes {wanted}: name it with --input_path")
    if source.body == "capsules":
        raise UsageError("--body capsules: poses are those of SMPL's joints; choose smpl, free or an SMPL file")
    folder = output_folder(options, source, run.seed)

    import torch

    from model.poses.reading import load_pose_ndf, resolved
    from utils.run.device import device_of

    if run.threads:
        torch.set_num_threads(run.threads)
    path = resolved(options.model_path)
    network = load_pose_ndf(path, options.model_config, options.parents, device_of(run))
    if options.task == "score":
        print("\n".join(scored(network, folder, options, source)))
        return

    if options.task == "fit_image":
        from sample.posing.pictures import fit_picture

        print("\n".join(fit_picture(network, folder, options, source, run.seed, path)))
        return

    from sample.posing.results import summary, write_outcomes
    from sample.posing.scores import write_perturbed
    from sample.posing.tasks import disturbance
    from utils.run.folders import atomic_folder

    made = made_by(network, options, source, run.seed, path)
    with atomic_folder(folder, options.overwrite) as target:
        write_outcomes(target, made, options, run.seed, path)
        if options.task == "perturb":
            write_perturbed(target, [disturbance(each) for each in made])
    print("\n".join(summary(made, options)))
    print(f"results.npy, a GLB of each clip and contact_sheet.png are in {folder}")


if __name__ == "__main__":
    run_command(main)
