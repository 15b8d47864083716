"""Make a checkpoint small enough to ship: averaged weights in half precision, and nothing to resume from.

`python -m prepare.ship --model_path save/run_mocap2d --output_dir save/mocap2d` (an evaluator likewise)
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.run.errors import UsageError, run_command
from utils.run.files import read_json, write_json
from utils.run.folders import atomic_folder, refuse_existing
from utils.run.options import option, parse

if TYPE_CHECKING:
    from torch import Tensor

LATER = (r"checkpoint_\d+\.pth",)  # of an earlier shipment, whatever became of them


@dataclass(frozen=True)
class ShipOptions:
    """From where to where."""

    model_path: str = option("", "checkpoint file, or a folder: its newest (required)")
    output_dir: str = option("", "the folder to make (required)")
    references: str = option(
        "", "a pose prior: folder of prepare.poses, of whose poses statistics go with it, for joints that are missing"
    )
    overwrite: bool = option(False, "replace what an earlier run wrote there; everything else stays")


def draw_curve(progress: Path, picture: Path) -> None:
    """The training loss over updates as a PNG."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    records: list[dict[str, Any]] = [json.loads(line) for line in progress.read_text().splitlines()]
    figure, axes = pyplot.subplots(figsize=(6, 3.2), layout="constrained")
    axes.plot([record["step"] for record in records], [record["loss"] for record in records], color="#4D84AA")
    axes.set(xlabel="updates", ylabel="training loss", yscale="log")
    axes.grid(True, which="both", alpha=0.3)
    figure.savefig(picture, dpi=100)
    pyplot.close(figure)


def halved(weights: dict[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Weights in half precision; what was one under two names (the positional tables) stays one."""
    halves: dict[int, Tensor] = {}
    made = {}
    for name, value in weights.items():
        half = value.half() if value.is_floating_point() else value
        made[name] = halves.setdefault(id(value), half)
    return made


def main(argv: list[str]) -> None:
    """Run the command."""
    (options,) = parse("prepare.ship", __doc__ or "", [ShipOptions], argv)
    if not (options.model_path and options.output_dir):
        raise UsageError("--model_path and --output_dir are required")
    refuse_existing(options.output_dir, options.overwrite, sure=("args.json",), later=LATER)

    from data_loaders.poses.dataset import load_samples
    from model.poses.statistics import BESIDE, statistics_of, write_statistics
    from utils.run import checkpoint

    source = checkpoint.resolve(options.model_path)
    if source.parent.resolve() == Path(options.output_dir).resolve():
        raise UsageError(
            f"{options.output_dir} is the training run itself, which would be lost: ship to another folder"
        )
    poses = load_samples(Path(options.references) / "samples", "train") if options.references else None
    weights = halved(checkpoint.weights(checkpoint.load(source)))
    args = read_json(source.parent / "args.json") | {"save_dir": options.output_dir, "resume_checkpoint": ""}
    with atomic_folder(options.output_dir, options.overwrite, LATER) as made:
        checkpoint.save(made, checkpoint.step_of(source), {"model": weights})
        write_json(made / "args.json", args)
        for path in (source.parent / name for name in ("Mean.npy", "Std.npy")):
            if path.is_file():
                (made / path.name).write_bytes(path.read_bytes())
        if poses is not None:
            write_statistics(made / BESIDE, statistics_of(poses))
        if (source.parent / "progress.jsonl").is_file():
            draw_curve(source.parent / "progress.jsonl", made / "training_curve.png")
    size = sum(path.stat().st_size for path in Path(options.output_dir).iterdir()) / 2**20
    print(f"{options.output_dir}: {checkpoint.step_of(source)} updates, {size:.1f} MB")


if __name__ == "__main__":
    run_command(main)
