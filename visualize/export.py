"""Motion in files that other programs open: GLB, BVH, HTML, SMPL parameters, USD, OBJ, FBX and others.

`python -m visualize.export runs/walk/results.npy --format glb bvh html`
"""

from pathlib import Path

from body.options import BodyOptions
from utils.run.errors import run_command
from utils.run.folders import refuse_unwritable
from utils.run.options import RunOptions, parse
from visualize.options import ExportOptions


def main(argv: list[str]) -> None:
    """Run the command."""
    run, which, wanted = parse(
        "visualize.export", __doc__ or "", (RunOptions, BodyOptions, ExportOptions), argv, first_word="input_path"
    )
    source = Path(which.input_path)
    folder = Path(wanted.output_dir) if wanted.output_dir else source.parent
    refuse_unwritable(folder)

    import torch

    from body.from_joints import bodies_of, read_clips
    from visualize.files.exporting import asked, export, prepared, refuse

    if run.threads:
        torch.set_num_threads(run.threads)
    formats = asked(wanted, folder, print)
    clips, kept = read_clips(which), [source, *map(Path, filter(None, [wanted.character]))]
    refuse(clips, formats, folder, source.stem, wanted.overwrite, kept)
    motions = prepared(bodies_of(clips, which, print), wanted, print)
    written = export(motions, formats, folder, source.stem, wanted.overwrite, wanted.names, wanted.in_place, kept)
    print("\n".join(map(str, written)))


if __name__ == "__main__":
    run_command(main)
