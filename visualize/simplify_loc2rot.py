"""Joint rotations in place of joint positions: a results file, or all in a folder, with bodies fitted to them.

`python -m visualize.simplify_loc2rot --input_path results.npy` writes `results_rot.npy` beside it: the same dict, with
`motion` float32 (N, 25, 6, T). Rows 0 to 23 are the local rotations of SMPL's joints, each the first two ROWS of its
matrix (as `data_loaders.representations.rot6d` has them); row 24 is [x, y, z, 0, 0, 0] of the pelvis, in metres.
After the end of a motion its last frame stays.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.run.errors import DataError, MissingFileError, UsageError, run_command
from utils.run.options import RunOptions, option, parse

if TYPE_CHECKING:
    from body.models import BodyModel


@dataclass(frozen=True)
class SimplifyOptions:
    """Which files, and the body that is fitted."""

    input_path: str = option("", "results.npy of sample.generate, or a folder: all results*.npy below it")
    body: str = option("", "smpl, free, or an SMPL file (default: smpl if it is in body_models/, else free)")
    overwrite: bool = option(False, "replace files that exist")


def find_results(source: str) -> list[Path]:
    """The results files that `--input_path` names, without those that were made of others. Raises errors."""
    path = Path(source)
    if not source:
        raise UsageError("name a results file or a folder of them: --input_path")
    if not path.exists():
        raise MissingFileError(f"{path} does not exist")
    found = [path] if path.is_file() else sorted(path.rglob("results*.npy"))
    found = [file for file in found if not file.stem.endswith("_rot")]
    if not found:
        raise MissingFileError(f"no results*.npy below {path} (and *_rot.npy are what this command writes)")
    return found


def simplified(path: Path, model: "BodyModel") -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The content of a results file with rotations in place of positions, and the report of each fit.

    Raises MissingFileError or DataError.
    """
    import numpy as np

    from body.fit.fitting import fit
    from utils.formats import results
    from utils.formats.smpl_params import parameters
    from utils.geometry.joint_maps import to_smpl

    content = results.load(path)
    if "motion" not in content:
        raise DataError(f"{path} holds motion of MAS: use visualize.render_mesh or visualize.export")
    fitted = [fit(to_smpl(motion), model) for motion in results.to_motions(content, path)]
    frames = content["motion"].shape[-1]
    rows = [np.pad(parameters(body), ((0, 0), (0, 0), (0, frames - len(body.root))), "edge") for body in fitted]
    told = ("text", "lengths", "num_samples", "num_repetitions", "fps")
    kept = {name: content[name] for name in told if name in content}
    return {"motion": np.stack(rows).astype(np.float32), **kept}, [body.meta["report"] for body in fitted]


def main(argv: list[str]) -> None:
    """Run the command."""
    run, options = parse(
        "visualize.simplify_loc2rot", __doc__ or "", [RunOptions, SimplifyOptions], argv, first_word="input_path"
    )
    paths = find_results(options.input_path)
    targets = [path.with_name(f"{path.stem}_rot.npy") for path in paths]
    for target in targets:
        if target.exists() and not options.overwrite:
            raise UsageError(f"{target} exists already; add --overwrite to replace it")

    import numpy as np
    import torch

    from body.models import load_body
    from utils.run.arrays import save_dict

    if run.threads:
        torch.set_num_threads(run.threads)
    model = load_body(options.body)
    for path, target in zip(paths, targets, strict=True):
        content, reports = simplified(path, model)
        save_dict(target, content)
        mean = np.mean([report["mean_error_mm"] for report in reports])
        print(f"{target}: {len(reports)} motions on {model.name}, joints met to {mean:.1f} mm in the mean")


if __name__ == "__main__":
    run_command(main)
