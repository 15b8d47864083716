"""Train a pose prior (Pose-NDF): how far a pose is from the poses that people take.

`python -m train.train_posendf --poses dataset/poses --save_dir save/my_prior`; `--config published.yaml` takes what the
published configuration says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.options import PoseNDFOptions
from train.common.commands import MakeCallback, Subject, parse_training_line, run_training, saved_options
from train.common.runs import OF_DENOISERS, placed, refuse_denoisers
from train.options import PoseLossOptions, TrainingOptions
from utils.run.errors import DataError, UsageError, run_command
from utils.run.options import RunOptions

if TYPE_CHECKING:
    import torch

    from data_loaders.poses.dataset import PosePairs

PRESETS = {
    "num_steps": 100_000, "train_batch_size": 512, "lr": 1e-3, "lr_schedule": "cosine", "warmup_steps": 100,
    "weight_decay": 1e-4, "save_interval": 10_000, "use_ema": True, "avg_model_beta": 0.999, "grad_clip": 1.0,
}  # fmt: skip
ADVANCED = (
    *OF_DENOISERS, "num_views", "loss_type", "beta", "cuda", "external_mode", "avg_model_beta", "initial_weights",
    "target_joint_names",
)  # fmt: skip
YAML = (".yaml", ".yml")


@dataclass(frozen=True)
class PoseNDFLine:
    """The command line."""

    run: RunOptions
    network: PoseNDFOptions
    loss: PoseLossOptions
    training: TrainingOptions


def checked(line: PoseNDFLine) -> PoseNDFLine:
    """Refuse what cannot be trained, before anything is loaded; returns the options with save_dir filled in."""
    refuse_denoisers(line.training)
    if not line.loss.dist + line.loss.man_loss + line.loss.eikonal:
        raise UsageError("--dist, --man_loss and --eikonal are all 0: there is nothing to learn")
    return replace(line, training=placed(line.training))


def subject_of(line: PoseNDFLine) -> Subject:
    """The network, and its task."""
    from data_loaders.poses.dataset import folders_of, load
    from model.poses.pose_ndf import PoseNDF
    from train.tasks.poses import PoseTask

    loss = line.loss
    pairs, samples = folders_of(loss.poses, loss.data_dir, loss.amass_dir)
    dataset = load(pairs, samples, "train", loss.single)
    told = dataset.pairs.distances.shape[1]
    if loss.neighbours > told:
        raise UsageError(f"--neighbours {loss.neighbours}: the pairs tell of {told} (--k_dist of prepare.poses)")
    task = PoseTask(dataset, line.training.train_batch_size, line.run.seed, loss)
    about = f"{len(dataset)} pairs and {len(dataset.manifold)} poses of {pairs.parent if not loss.data_dir else pairs}"
    next_command = "sample.poses --task generate --model_path"
    return Subject(dataset, task, partial(PoseNDF, line.network), about, "Pose-NDF", next_command)


def callbacks_of(line: PoseNDFLine, device: "torch.device") -> list[MakeCallback]:
    """Held-out poses, where there are any, are measured at each milestone."""
    from data_loaders.poses.dataset import files_of, folders_of, load
    from train.common.callbacks import metrics
    from train.common.loop import note

    loss = line.loss
    pairs, samples = folders_of(loss.poses, loss.data_dir, loss.amass_dir)
    if not files_of(pairs, "val") or not files_of(samples, "val"):
        note(f"{pairs} has no part `val`: nothing is measured on held-out poses")
        return []
    of = partial(measured, line, load(pairs, samples, "val"), device)
    return [partial(metrics, of)]


def measured(line: PoseNDFLine, held_out: "PosePairs", device: "torch.device", saved: Path) -> Mapping[str, float]:
    """The figures of a checkpoint on held-out poses; the table of the levels is printed."""
    from model.poses.pose_ndf import PoseNDF
    from train.tasks.poses import measure
    from utils.run import checkpoint

    network = PoseNDF(line.network)
    network.load_state_dict(checkpoint.weights(checkpoint.load(saved)))
    found, table = measure(network.to(device).eval(), held_out, line.loss.neighbours, line.run.seed)
    print(f"held-out poses after {checkpoint.step_of(saved)} updates:", *table, sep="\n", flush=True)
    return found


def published_config(argv: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """A line without its published YAML file, which `--config` or `-c` names, and what that says, as presets.

    Raises MissingFileError, DataError or UsageError.
    """
    line, presets = list(argv), {}
    for place, word in enumerate(argv):
        flag, equals, value = word.partition("=")
        if flag not in ("--config", "-c"):
            continue
        value = value if equals else (argv[place + 1] if place + 1 < len(argv) else "")
        if Path(value).suffix.lower() in YAML:
            presets = translated(value)
            line[place : place + (1 if equals else 2)] = []
            return line, presets
    return line, presets


def translated(path: str) -> dict[str, Any]:
    """The published YAML configuration as our options, those that it has. Raises MissingFileError or DataError."""
    from model.poses.reading import read_config
    from utils.run.files import read_yaml

    network = read_config(path)
    content = read_yaml(path)
    data, train, experiment = (_part(content, name) for name in ("data", "train", "experiment"))
    found: dict[str, Any] = {name: getattr(network, name) for name in network.__dataclass_fields__}
    wanted = (
        (data, "data_dir", str, "data_dir"), (data, "amass_dir", str, "amass_dir"), (data, "single", bool, "single"),
        (train, "loss_type", str, "loss_type"), (train, "man_loss", float, "man_loss"), (train, "dist", float, "dist"),
        (train, "eikonal", float, "eikonal"), (train, "optimizer_param", float, "lr"),
    )  # fmt: skip
    for part, name, kind, option in wanted:
        if name in part:
            found[option] = _value(part[name], kind, name, path)
    found |= {"eikonal_form": "published", "weight_decay": 1e-4, "use_ema": False, "lr_schedule": "constant"}
    found |= {"warmup_steps": 0, "grad_clip": 0.0}
    files = int(_value(train.get("batch_size", 4), float, "batch_size", path))
    points = int(_value(data.get("num_pts", 5000), float, "num_pts", path))
    found["train_batch_size"] = max(1, files) * max(1, points)
    if "root_dir" in experiment:
        root, name = experiment["root_dir"], experiment.get("exp_name", "main")
        found["save_dir"] = str(Path(str(root)) / str(name))
    return found


def _part(content: Any, name: str) -> Mapping[str, Any]:
    part = content.get(name) if isinstance(content, dict) else None
    return part if isinstance(part, dict) else {}


def _value(value: Any, kind: type, name: str, path: str) -> Any:
    """A value of the configuration. Raises DataError for one of another kind."""
    if kind is float and isinstance(value, str):  # YAML takes 1e-5, without a point, for a word
        try:
            value = float(value)
        except ValueError:
            value = None
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    if kind is not float and isinstance(value, kind):
        return value
    raise DataError(f"{path} has {name} {str(value)[:40]!r}, which is no {kind.__name__}")


def main(argv: list[str]) -> None:
    """Run the command."""
    argv, presets = published_config(argv)
    line = parse_training_line(
        PoseNDFLine, "train.train_posendf", __doc__ or "", argv, defaults_of=lambda _: {},
        network=(PoseNDFOptions,), presets=PRESETS | presets, advanced=ADVANCED,
    )  # fmt: skip
    line = checked(line)
    run_training(line, saved_options(line), lambda _: subject_of(line), partial(callbacks_of, line))


if __name__ == "__main__":
    run_command(main)
