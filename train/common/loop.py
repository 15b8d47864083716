"""The one training loop: any `Task`, exact resumption, saves that survive a kill at any instant, one rank or several.

Everything random is keyed by the step (`Task.batch`, and dropout here), the optimiser and the averaged weights travel
in the checkpoint: so a run that was killed and resumed ends with the weights of one that was not, bit for bit.
Each rank makes the whole batch and takes its share of the rows: no draw depends on the number of ranks but dropout's.
"""

import contextlib
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from train.common.optimizer import average_decay, build_optimizer, final_step, learning_rate, update_average
from train.common.platforms import Platform
from train.options import TrainingOptions
from train.tasks.diffusion import Task
from utils.run import checkpoint
from utils.run.device import arithmetic
from utils.run.errors import DataError, NumericError
from utils.run.files import atomic_write
from utils.run.parallel import group, is_first, ranks, shares, sum_over_ranks
from utils.run.processor import ways
from utils.run.progress import duration
from utils.run.randomness import seeded

BAD_STEPS = 3  # consecutive updates whose loss or gradient is not finite before the run gives up
KEPT_SAVES = 3
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Training:
    """What is trained on what, and how: `to_file` and `from_file` translate weights to and from the file's names."""

    model: nn.Module
    task: Task
    options: TrainingOptions
    seed: int = 0
    device: torch.device = torch.device("cpu")
    precision: str = "fp32"
    to_file: Callable[[Weights], Weights] = dict
    from_file: Callable[[Weights], Weights] = dict


@dataclass
class State:
    """What a training changes: the network, the optimiser, the averaged weights, and how many updates they hold."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: Weights = field(default_factory=dict)
    step: int = 0


def train(
    training: Training,
    resume: dict[str, Any] | None = None,
    platform: Platform | None = None,
    after_save: Callable[[Path], None] = lambda _: None,
) -> Path:
    """Train the model in place up to `options.num_steps` updates and return the last checkpoint.

    `resume` is the content of a checkpoint; `after_save` is called with each milestone (every `save_interval` updates,
    and the last).
    Under torchrun the ranks share each batch; the first one alone writes, prints, reports and calls `after_save`.
    SIGTERM, SIGHUP or Ctrl-C, to any rank, finishes the update, saves, and leaves with 143, 129 or 130 (the other ranks
    with 0). Output that nobody takes is no reason to stop.
    Raises NumericError after three updates in a row without a finite loss and gradient.
    """
    options, model = training.options, training.model
    folder, last = Path(options.save_dir), final_step(options)
    state = begin(training, resume)
    progress = Progress(folder / "progress.jsonl", state.step, options, platform) if is_first() else None
    bad, stop = 0, 0
    model.train()
    with group(training.device), stop_signals() as caught:
        while state.step < last and not stop:
            losses, stop = over_ranks(model, backward(training, state.step), caught)
            finite = update(state, options, losses)
            bad = 0 if finite else bad + 1
            if bad == BAD_STEPS:
                raise NumericError(
                    f"the loss was not finite in {bad} updates up to {state.step - 1}; resume from {folder} with a "
                    "lower --lr"
                )
            if not progress:
                continue
            progress.add(state.step, losses if finite else {}, model)
            milestone = state.step % options.save_interval == 0 or state.step == last
            if milestone or state.step % options.resume_interval == 0 or stop:
                progress.sync()
                saved = save(folder, state, training.to_file, passing=not milestone)
                checkpoint.prune(folder, KEPT_SAVES)
                if milestone and not stop:
                    model.eval()
                    after_save(saved)
                    model.train()
    saved = folder / f"checkpoint_{state.step}.pth"
    if progress:
        progress.close()
        if not saved.is_file():
            save(folder, state, training.to_file)
    if stop:
        note(f"stopped after {state.step} updates; continue with --resume_checkpoint {saved}")
        # torchrun ends the others when a rank fails, so only the last to leave, which has saved, says that it did.
        sys.exit(128 + stop if is_first() else 0)
    return saved


def begin(training: Training, resume: dict[str, Any] | None) -> State:
    """Where a training begins, or goes on."""
    state = State(training.model, build_optimizer(training.model, training.options))
    if resume:
        restore(state, resume, training.from_file)
    if not training.options.use_ema:
        state.average.clear()
    elif not state.average:
        state.average |= {name: value.detach().clone() for name, value in training.model.state_dict().items()}
    return state


def update(state: State, options: TrainingOptions, losses: dict[str, float]) -> bool:
    """One update by the gradients in the model, counted even where it is passed over: False if it is not finite.

    The norm of the gradient is added to the losses.
    """
    for part in state.optimizer.param_groups:
        part["lr"] = learning_rate(options, state.step)
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), options.grad_clip or float("inf")).item()
    finite = math.isfinite(losses["loss"]) and math.isfinite(norm)
    if finite:
        state.optimizer.step()
        if state.average:
            update_average(state.average, state.model, average_decay(options, state.step))
    losses["grad_norm"] = norm
    state.step += 1
    return finite


def backward(training: Training, step: int) -> dict[str, Tensor]:
    """Leave the gradients of this rank's share of a batch in the model, and return its share of the mean losses."""
    model, task, device = training.model, training.task, training.device
    model.zero_grad(set_to_none=True)
    batch = task.batch(step)
    count = len(next(iter(batch.values())))
    losses: dict[str, Tensor] = {}
    for part, rows in shares(count, training.options.accumulate).items():
        piece = {name: value[rows].to(device) for name, value in batch.items()}
        with seeded(training.seed, "dropout", step, part), arithmetic(device, training.precision):
            found = task.loss(model, piece)
        share = (rows.stop - rows.start) / count
        (found["loss"] * share).backward()
        for name, value in found.items():
            losses[name] = losses.get(name, 0) + value.detach().float() * share
    return losses


def over_ranks(model: nn.Module, losses: dict[str, Tensor], caught: Sequence[int]) -> tuple[dict[str, float], int]:
    """Add the ranks' gradients up, in place, and their losses; also the signal that ends the run, 0 without one.

    A parameter that no rank used keeps no gradient, as on one rank: AdamW leaves it alone.
    """
    stop = caught[0] if caught else 0
    values = torch.stack(list(losses.values()))
    if ranks()[1] > 1:
        parameters = [each for each in model.parameters() if each.requires_grad]
        flags = torch.tensor([stop, *(each.grad is not None for each in parameters)], device=values.device).float()
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        sum_over_ranks([values, flags, *gradients])
        any_stop, *used = flags.tolist()
        stop = stop or (signal.SIGTERM if any_stop else 0)
        for parameter, gradient, ranks_that_used in zip(parameters, gradients, used, strict=True):
            parameter.grad = gradient if ranks_that_used else None
    return dict(zip(losses, values.tolist(), strict=True)), stop


def save(folder: Path, state: State, to_file: Callable[[Weights], Weights], passing: bool = False) -> Path:
    """Write a checkpoint that holds exactly the updates of a state; a `passing` one goes when newer ones are there."""
    content = {
        "model": to_file(state.model.state_dict()), "optimizer": state.optimizer.state_dict(), "step": state.step,
        "run": circumstances(),
    }  # fmt: skip
    if state.average:
        content["model_avg"] = to_file(state.average)
    return checkpoint.save(folder, state.step, content, passing)


def circumstances() -> dict[str, Any]:
    """What the last bits of a training depend on beside its options."""
    linear = ways().trained
    return {"torch": str(torch.__version__), "threads": torch.get_num_threads(), "ranks": ranks()[1], "linear": linear}


def start_from(model: nn.Module, path: Path, from_file: Callable[[Weights], Weights]) -> None:
    """Put a checkpoint's weights, the averaged ones if it has any, into the parts of the model that it names.

    Raises DataError for a part that the model has not, or of another size.
    """
    try:
        absent, unknown = model.load_state_dict(from_file(checkpoint.weights(checkpoint.load(path))), strict=False)
    except RuntimeError as error:
        raise DataError(f"{path} does not fit the model: {str(error).splitlines()[-1].strip()}") from error
    if unknown:
        raise DataError(f"{path} does not fit the model, which has no {unknown[0]}")
    if absent:
        note(f"{path} has no {', '.join(absent)}: these begin as built")


def restore_weights(model: nn.Module, content: dict[str, Any], from_file: Callable[[Weights], Weights]) -> None:
    """Put a checkpoint's weights back.

    Raises DataError if it does not say how many updates it holds (a shipped file) or holds other weights than the
    model's.
    """
    if "step" not in content:
        raise DataError(
            "the checkpoint holds weights only: it can be sampled from, but not resumed; begin a new run from it with "
            "--initial_weights in place of --resume_checkpoint"
        )
    try:
        model.load_state_dict(from_file(content["model"]))
    except (RuntimeError, KeyError) as error:
        raise DataError(f"the checkpoint does not fit the model: {str(error).splitlines()[-1].strip()}") from error


def restore(state: State, content: dict[str, Any], from_file: Callable[[Weights], Weights]) -> None:
    """Put a checkpoint's weights, averages, optimiser and number of updates back.

    The published files of MDM keep the optimiser elsewhere, as a list that counts the text encoder's weights: theirs
    starts anew. Raises DataError for a checkpoint that does not fit.
    """
    restore_weights(state.model, content, from_file)
    if "optimizer" in content:
        try:
            state.optimizer.load_state_dict(content["optimizer"])
        except (ValueError, KeyError) as error:
            raise DataError(f"the checkpoint's optimiser does not fit the model: {error}") from error
    else:
        note("the checkpoint holds weights only: AdamW's running means start anew")
    device = next(state.model.parameters()).device
    average = from_file(content.get("model_avg", {}))
    state.average |= {name: value.to(device).clone() for name, value in average.items()}
    run = content.get("run", {})
    if any(run.get(name, value) != value for name, value in circumstances().items()):
        note(f"the checkpoint was made with {run}: the continued run may differ in the last bits")
    # The published trainers count their updates from 0: their file of step k holds k + 1.
    state.step = content["step"] if run else content["step"] + 1


def note(text: str) -> None:
    """Tell the user, once whatever the number of ranks."""
    if is_first():
        print(f"note: {text}", file=sys.stderr)


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list that holds the number of the first SIGTERM, SIGINT or SIGHUP; a second one ends the process at once.

    A SIGHUP that the process was started to ignore (`nohup`) stays ignored.
    """
    caught: list[int] = []

    def handle(number: int, _: Any) -> None:
        caught.append(number)
        signal.signal(number, signal.SIG_DFL)

    numbers = [signal.SIGTERM, signal.SIGINT]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_record(line: bytes, last: int) -> bool:
    """Whether a line of progress.jsonl is whole, and of an update up to `last`."""
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return isinstance(record, dict) and type(record.get("step")) is int and record["step"] <= last


class Progress:
    """The losses over time: a line now and then, one JSON record each in `progress.jsonl`, and the platform."""

    def __init__(self, path: Path, step: int, options: TrainingOptions, platform: Platform | None):
        self.options, self.platform = options, platform
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            kept = [line for line in path.read_bytes().splitlines() if _is_record(line, step)]
            with atomic_write(path) as handle:
                handle.writelines(line + b"\n" for line in kept)
        self.file = path.open("a")
        self.first, self.last, self.start = step, final_step(options), time.monotonic()
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, step: int, losses: Mapping[str, float], model: nn.Module) -> None:
        """Note the losses after `step` updates, `loss` among them; none of an update that was passed over."""
        self.count += bool(losses)
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        if self.count and (step % self.options.log_interval == 0 or step == self.last):
            means = {name: total / self.count for name, total in self.sums.items()}
            with torch.no_grad():
                norm = nn.utils.get_total_norm(list(model.parameters())).item()
            self.report(step, means, norm)
            self.sums, self.count = {}, 0

    def report(self, step: int, means: dict[str, float], param_norm: float) -> None:
        """Say, write and send the mean losses of the updates since the last report."""
        seconds, rate = time.monotonic() - self.start, learning_rate(self.options, step - 1)
        left = seconds / (step - self.first) * (self.last - step)
        loss, norm = means.pop("loss"), means.pop("grad_norm")
        parts = "".join(f" | {name}: {value:.4f}" for name, value in means.items())
        print(
            f"step: {step:<8} | mean_loss: {loss:.4f}{parts} | lr: {rate:.2e} | "
            f"{duration(seconds)}, {duration(left)} left",
            flush=True,
        )
        means |= {"grad_norm": norm, "param_norm": param_norm}
        record = {"step": step, "loss": loss, "lr": rate, "seconds": round(seconds, 2)} | means
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()
        if self.platform:
            for name, value in ({"mean_loss": loss} | means).items():
                self.platform.report_scalar(name, value, step, "Loss")

    def sync(self) -> None:
        """Have the records on the disk: called before a save, which must not know more than they tell."""
        os.fsync(self.file.fileno())

    def close(self) -> None:
        """Close the file and the platform."""
        self.file.close()
        if self.platform:
            self.platform.close()
