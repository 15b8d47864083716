"""A body for one sample of a results file: meshes, SMPL parameters, a video, and whatever else is asked for.

`python -m visualize.render_mesh --input_path runs/demo/result_2.mp4` (or .../sample01_rep02.mp4) reads the results.npy
beside the video and writes `result_2_obj/frame000.obj ...`, `result_2_smpl_params.npy`, `result_2.npz` (as in AMASS)
and `result_2_mesh.mp4` there.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from body.options import BodyOptions
from utils.run.errors import DataError, MissingFileError, UsageError, run_command
from utils.run.folders import refuse_unwritable
from utils.run.options import RunOptions, parse
from visualize.options import ExportOptions

if TYPE_CHECKING:
    from utils.geometry.motion import Motion

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


def clip_of(clips: "Sequence[Motion]", results: Path, name: str, sample: tuple[int, int | None]) -> "Motion":
    """The clip of a results file that is that sample. Raises DataError where there is none."""
    number, repetition = sample
    named = {parts: clip for clip in clips if (parts := _parts(clip.name)) is not None}
    known = named or {(0, 0): clips[0]}  # the one motion of a pose estimator has the name of its file
    if found := known.get((number, repetition or 0)):
        return found
    samples, repetitions = (1 + max(part) for part in zip(*known, strict=True))
    raise DataError(
        f"{results} has {samples} samples and {repetitions} repetitions (counted from 0), so no motion {name}"
    )


def _parts(clip: str) -> tuple[int, int] | None:
    """Sample and repetition in the name that the reader of results gives to a clip."""
    found = re.fullmatch(r"sample(\d+)_rep(\d+)|result_(\d+)", clip)
    return found and (int(found[1] or found[3]), int(found[2] or 0))


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
    folder = Path(wanted.output_dir) if wanted.output_dir else video.parent
    refuse_unwritable(folder)

    import torch

    from body.from_joints import bodies_of, read_clips
    from visualize.files.exporting import asked, export, prepared, refuse

    if run.threads:
        torch.set_num_threads(run.threads)
    which = replace(which, input_path=str(results))
    clips = [replace(clip_of(read_clips(which), results, name, sample), name=name)]
    formats = asked(wanted, folder, print)
    kept = [video, results, *map(Path, filter(None, [wanted.character]))]
    refuse(clips, formats, folder, name, wanted.overwrite, kept)
    motions = prepared(bodies_of(clips, which, print), wanted, print)
    written = export(motions, formats, folder, name, wanted.overwrite, wanted.names, wanted.in_place, kept)
    print("\n".join(map(str, written)))


if __name__ == "__main__":
    run_command(main)
