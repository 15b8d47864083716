"""A body for one sample of a results file: meshes, SMPL parameters, a video, and whatever else is asked for.

`python -m visualize.render_mesh --input_path runs/demo/result_2.mp4` (or .../sample01_rep02.mp4) reads the results.npy
beside the video and writes `result_2_obj/frame000.obj ...`, `result_2_smpl_params.npy`, `result_2.npz` (as in AMASS)
and `result_2_mesh.mp4` there.
"""

import re
from dataclasses import replace
from pathlib import Path

from body.options import BodyOptions
from utils.run.errors import DataError, MissingFileError, UsageError, run_command
from utils.run.options import RunOptions, parse
from visualize.options import ExportOptions

MADE = ("obj", "params", "npz", "mp4")


def sample_of(path: Path) -> tuple[str, tuple[int, int | None]]:
    """The stem of a video's name, and the sample (and repetition) that it says. Raises UsageError.

    `result_7.mp4` is sample 7, `sample01_rep02.mp4` repetition 2 of sample 1 (also `row01_col02.mp4`).
    """
    if path.suffix.lower() != ".mp4":
        raise UsageError(
            f"{path} must end in .mp4: name the video of the sample, as result_0.mp4 or sample00_rep00.mp4"
        )
    if found := re.fullmatch(r"(?:sample|row)(\d+)_(?:rep|col)(\d+)", path.stem):
        return path.stem, (int(found[1]), int(found[2]))
    if found := re.search(r"_(\d+)(?:\.|$)", path.stem):
        return path.stem, (int(found[1]), None)
    raise UsageError(f"{path.name} names no sample; it should be as result_0.mp4 or sample00_rep00.mp4")


def number_of(results: Path, name: str, sample: tuple[int, int | None]) -> int:
    """Which motion of a results file that is. Raises DataError where there is none."""
    import numpy as np

    from utils.formats.results import load
    from utils.run.arrays import load_array

    if load_array(results).dtype != np.dtype(object):
        return sample[0]  # the array of a pose estimator
    content = load(results, raw=True)
    motions = content["motion"] if "motion" in content else content["motions"]
    samples, repetitions = content.get("num_samples", len(motions)), content.get("num_repetitions", 1)
    number, repetition = sample[0], sample[1] or 0
    if number >= samples or repetition >= repetitions:
        raise DataError(
            f"{results} has {samples} samples and {repetitions} repetitions (counted from 0), so no motion {name}"
        )
    return repetition * samples + number


def main(argv: list[str]) -> None:
    """Run the command."""
    run, which, wanted = parse(
        "visualize.render_mesh", __doc__ or "", (RunOptions, BodyOptions, ExportOptions), argv,
        presets={"format": MADE, "skeleton_type": ""}, first_word="input_path",
    )  # fmt: skip
    video = Path(which.input_path)
    name, sample = sample_of(video)
    if which.samples:
        raise UsageError("--samples: the name of the video says which motion; visualize.export takes several")
    results = video.with_name("results.npy")
    if not results.is_file():
        raise MissingFileError(f"{results} does not exist; it belongs beside {video.name}")

    import torch

    from body.from_joints import make_bodies
    from visualize.files.exporting import export

    if run.threads:
        torch.set_num_threads(run.threads)
    number = number_of(results, name, sample)
    which = replace(which, input_path=str(results), samples=(str(number),))
    motions = [replace(motion, name=name) for motion in make_bodies(which, print)]
    folder = Path(wanted.output_dir) if wanted.output_dir else video.parent
    print("\n".join(map(str, export(motions, wanted.format, folder, name, wanted.overwrite))))


if __name__ == "__main__":
    run_command(main)
