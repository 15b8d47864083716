"""The way that every command of training goes: its options, then load, seed, resume, refuse, folder, train."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, get_type_hints

from data_loaders.options import DataOptions
from data_loaders.registry import dataset_defaults
from train.common.platforms import Platform, open_platform
from train.common.runs import passed_over, run_folder
from train.options import TrainingOptions
from utils.run.options import Alike, RunOptions, parse_line
from utils.run.parallel import is_first

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from train.tasks.diffusion import Task

NEVER_SAVED = ("save_dir", "overwrite_model", "resume_checkpoint", "device", "config")


class TrainingLine(Protocol):
    """The command line of whatever trains, a dataclass; commands have more groups."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def run(self) -> RunOptions: ...

    @property
    def training(self) -> TrainingOptions: ...


TrainedLine = TypeVar("TrainedLine", bound=TrainingLine)


def parse_training_line(
    line: type[TrainedLine],
    command: str,
    purpose: str,
    argv: Sequence[str],
    *,
    defaults_of: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dataset_defaults,
    saved_from: Sequence[str] = ("resume_checkpoint",),
    unsaved: Sequence[type] = (),
    network: Sequence[type] = (),
    **more: Any,
) -> TrainedLine:
    """The command line of a command that trains, `line` naming its groups.

    Options of the checkpoint that `saved_from` names hold, but for those of `unsaved` groups. A new run that begins
    with another's weights is of the dataset and the `network` groups of that one. For `more` see `parse`.
    """
    saved = [group for group in get_type_hints(line).values() if group not in unsaved]
    return parse_line(
        line, command, purpose, argv, defaults_of=defaults_of, saved_from=saved_from, saved_groups=saved, known=saved,
        never_saved=NEVER_SAVED, alike=Alike("initial_weights", network, ("dataset", "cond")) if network else None,
        **more,
    )  # fmt: skip


def saved_options(line: TrainingLine, unsaved: Sequence[type] = ()) -> dict[str, Any]:
    """What args.json says of a command: all its options by name, but for `unsaved` groups."""
    groups = [group for group in vars(line).values() if type(group) not in unsaved]
    return {name: value for group in groups for name, value in vars(group).items()}


@dataclass(frozen=True)
class Subject:
    """What a command trains.

    `build()` is the network before its training, whose weights `to_file` and `from_file` translate to and from the
    file's names; `dataset` is what Mean and Std are of, where it has them. `about` says what it is trained on,
    `network` what it is, and `next_command` what to do with a checkpoint.
    """

    dataset: Any
    task: "Task"
    build: "Callable[[], nn.Module]"
    about: str
    network: str
    next_command: str
    to_file: "Callable[[dict[str, Tensor]], dict[str, Tensor]]" = dict
    from_file: "Callable[[dict[str, Tensor]], dict[str, Tensor]]" = dict


def motions_of(dataset: Any, data: DataOptions, more: str = "") -> str:
    """What a training on motions is on."""
    return f"{len(dataset)} motions of {data.dataset} ({data.data_split}){more}"


# From the platform to what is called with each milestone.
MakeCallback = Callable[[Platform | None], Callable[[Path], None]]


def run_training(
    line: TrainingLine,
    args: Mapping[str, Any],
    subject_of: "Callable[[torch.device], Subject]",
    callbacks_of: "Callable[[torch.device], Sequence[MakeCallback]]" = lambda _: (),
) -> None:
    """Train what `subject_of` gives, in the folder of the options; `args` is what args.json says.

    Whatever is missing, too small or does not fit is refused before the folder is touched.
    """
    import torch

    from train.common.callbacks import milestones
    from train.common.loop import Training, restore_weights, start_from, train
    from utils.run import checkpoint
    from utils.run.device import device_of
    from utils.run.randomness import seeded

    run, options = line.run, line.training
    if run.threads:
        torch.set_num_threads(run.threads)
    device = device_of(run)
    subject = subject_of(device)
    resume = checkpoint.load(checkpoint.resolve(options.resume_checkpoint)) if options.resume_checkpoint else None
    with seeded(run.seed, "weights"):
        network = subject.build().to(device)
    if options.initial_weights and not resume:
        start_from(network, checkpoint.resolve(options.initial_weights), subject.from_file)
    subject.task.batch(0)
    if resume:
        restore_weights(network, resume, subject.from_file)
    callbacks = callbacks_of(device)
    training = Training(
        network, subject.task, options, run.seed, device, run.precision, subject.to_file, subject.from_file
    )
    with run_folder(options, args, subject.dataset):
        print(subject.about, *passed_over(subject.dataset), sep="\n")
        parameters = sum(weight.numel() for weight in network.parameters())
        print(f"{subject.network} with {parameters / 1e6:.2f} M parameters on {device}")
        platform = open_platform(options.train_platform_type, options.save_dir, args)
        after_save = milestones([make(platform) for make in callbacks], run.seed)
        last = train(training, resume, platform, after_save)
    if is_first():
        print(f"trained: {last}; next: python -m {subject.next_command} {last}")
