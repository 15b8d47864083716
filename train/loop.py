"""The one training loop: any `Task`, exact resumption, saves that survive a kill at any instant.

Everything random is keyed by the step (`Task.batch`, and dropout here), the optimiser and the averaged weights travel
in the checkpoint: so a run that was killed and resumed ends with the weights of one that was not, bit for bit.
"""

import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from train.optimizer import build_optimizer, learning_rate, update_average
from train.options import TrainingOptions
from train.platforms import Platform
from train.task import Task
from utils.run import checkpoint
from utils.run.device import arithmetic
from utils.run.errors import DataError, NumericError
from utils.run.randomness import seeded

BAD_STEPS = 3  # consecutive updates whose loss or gradient is not finite before the run gives up
KEPT_SAVES = 3
Weights = dict[str, Tensor]


def train(
    model: nn.Module,
    task: Task,
    options: TrainingOptions,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    precision: str = "fp32",
    resume: dict[str, Any] | None = None,
    platform: Platform | None = None,
    to_file: Callable[[Weights], Weights] = dict,
    from_file: Callable[[Weights], Weights] = dict,
    after_save: Callable[[Path], None] = lambda _: None,
) -> Path:
    """Train `model` in place up to `options.num_steps` updates and return the last checkpoint.

    `resume` is the content of a checkpoint; `to_file` and `from_file` translate weights to and from the file's
    names; `after_save` is called with each milestone (every `save_interval` updates, and the last).
    SIGTERM or Ctrl-C finishes the update, saves, and leaves with 143 or 130.
    Raises NumericError after three updates in a row without a finite loss and gradient.
    """
    device = device or torch.device("cpu")
    folder = Path(options.save_dir)
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = build_optimizer(model, options)
    average: Weights = {}
    step = restore(model, optimizer, average, resume, from_file) if resume else 0
    if options.ema_decay and not average:
        average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    progress = Progress(folder / "progress.jsonl", step, options, platform)
    bad, saved = 0, folder / f"checkpoint_{step}.pth"
    model.train()
    with stop_signals() as stopped:
        while step < options.num_steps and not stopped:
            batch = {name: value.to(device) for name, value in task.batch(step).items()}
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(options, step)
            with seeded(seed, "dropout", step), arithmetic(device, precision):
                loss = task.loss(model, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), options.grad_clip or float("inf"))
            if torch.isfinite(loss) and torch.isfinite(norm):
                bad = 0
                optimizer.step()
                if average:
                    update_average(average, model, options.ema_decay, step)
            else:
                bad += 1
                if bad == BAD_STEPS:
                    raise NumericError(
                        f"the loss was not finite in {bad} updates up to {step}; the last save is {saved}"
                    )
            step += 1
            progress.add(step, loss.item(), optimizer.param_groups[0]["lr"])
            milestone = step % options.save_interval == 0 or step == options.num_steps
            if milestone or step % options.resume_interval == 0 or stopped:
                saved = save(folder, step, model, optimizer, average, to_file)
                checkpoint.prune(folder, KEPT_SAVES, options.save_interval)
                if milestone and not stopped:
                    model.eval()
                    after_save(saved)
                    model.train()
    progress.close()
    if not saved.is_file():
        saved = save(folder, step, model, optimizer, average, to_file)
    if stopped:
        print(f"stopped after {step} updates; continue with --resume_checkpoint {saved}", file=sys.stderr)
        sys.exit(128 + stopped[0])
    return saved


def save(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Weights,
    to_file: Callable[[Weights], Weights],
) -> Path:
    """Write a checkpoint that holds exactly `step` updates."""
    content = {"model": to_file(model.state_dict()), "optimizer": optimizer.state_dict(), "step": step}
    content["run"] = {"torch": str(torch.__version__), "threads": torch.get_num_threads()}
    if average:
        content["model_avg"] = to_file(average)
    return checkpoint.save(folder, step, content)


def restore_weights(model: nn.Module, content: dict[str, Any], from_file: Callable[[Weights], Weights]) -> None:
    """Put a checkpoint's weights back.

    Raises DataError if it holds no optimiser (a shipped file) or other weights than the model's.
    """
    if "optimizer" not in content or "step" not in content:
        raise DataError("the checkpoint holds weights only: it can be sampled from, but not resumed")
    try:
        model.load_state_dict(from_file(content["model"]))
    except (RuntimeError, KeyError) as error:
        raise DataError(f"the checkpoint does not fit the model: {str(error).splitlines()[0]}") from error


def restore(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Weights,
    content: dict[str, Any],
    from_file: Callable[[Weights], Weights],
) -> int:
    """Put a checkpoint's weights, averages and optimiser back and return the number of updates it holds.

    Raises DataError for a checkpoint that does not fit.
    """
    restore_weights(model, content, from_file)
    try:
        optimizer.load_state_dict(content["optimizer"])
    except (ValueError, KeyError) as error:
        raise DataError(f"the checkpoint's optimiser does not fit the model: {error}") from error
    device = next(model.parameters()).device
    average.update({name: value.to(device).clone() for name, value in from_file(content.get("model_avg", {})).items()})
    run = content.get("run", {})
    if run and run != {"torch": str(torch.__version__), "threads": torch.get_num_threads()}:
        print(
            f"note: the checkpoint was made with {run}: the continued run may differ in the last bits", file=sys.stderr
        )
    # The published trainer counts its updates from 0: its file of step k holds k + 1.
    return content["step"] if run else content["step"] + 1


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list that holds the number of the first SIGTERM or SIGINT; a second one ends the process at once."""
    caught: list[int] = []

    def handle(number: int, _: Any) -> None:
        caught.append(number)
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Progress:
    """The loss over time: a line now and then, one JSON record each in `progress.jsonl`, and the platform."""

    def __init__(self, path: Path, step: int, options: TrainingOptions, platform: Platform | None):
        self.options, self.platform = options, platform
        kept = []
        if path.is_file() and step:
            records = (line for line in path.read_text().splitlines() if line.endswith("}"))
            kept = [line for line in records if json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept))
        self.file = path.open("a")
        self.first, self.start, self.total, self.count = step, time.monotonic(), 0.0, 0

    def add(self, step: int, loss: float, rate: float) -> None:
        """Note the loss of an update."""
        self.total, self.count = self.total + loss, self.count + 1
        if step % self.options.log_interval and step != self.options.num_steps:
            return
        seconds = time.monotonic() - self.start
        left = seconds / (step - self.first) * (self.options.num_steps - step)
        mean = self.total / self.count
        print(
            f"step: {step:<8} | mean_loss: {mean:.4f} | lr: {rate:.2e} | {seconds:.0f} s, {left / 60:.0f} min left",
            flush=True,
        )
        self.file.write(json.dumps({"step": step, "loss": mean, "lr": rate, "seconds": round(seconds, 2)}) + "\n")
        self.file.flush()
        if self.platform:
            self.platform.report_scalar("mean_loss", mean, step, "Loss")
        self.total, self.count = 0.0, 0

    def close(self) -> None:
        """Close the file and the platform."""
        self.file.close()
        if self.platform:
            self.platform.close()
