"""What is done with each milestone of a training beside keeping it: nothing here can end the training, or change it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from train.common.loop import note
from train.common.platforms import Platform
from utils.run import checkpoint
from utils.run.errors import PolykineError, sentence
from utils.run.parallel import alone
from utils.run.randomness import seeded

Callback = Callable[[Path], None]


def milestones(callbacks: Sequence[Callback], seed: int) -> Callback:
    """The `after_save` of the training loop: each callback with the checkpoint, in order, by this rank alone.

    One that fails is told and passed over. Torch's global generators, from which a network is built before its weights
    are read, are put back.
    """

    def after_save(saved: Path) -> None:
        for callback in callbacks:
            try:
                with alone(), seeded(seed, "milestone", checkpoint.step_of(saved)):
                    callback(saved)
            except (PolykineError, OSError) as error:
                note(f"{saved}: {sentence(error)} (the training goes on)")

    return after_save


def videos(sample: Callable[[Path], Sequence[Path]], platform: Platform | None) -> Callback:
    """A callback that samples a checkpoint, as mp4 files, and shows them on the platform."""

    def callback(saved: Path) -> None:
        files = sample(saved)
        if platform:
            platform.report_media(files, checkpoint.step_of(saved))

    return callback


def metrics(of: Callable[[Path], Mapping[str, float]], platform: Platform | None) -> Callback:
    """A callback that measures a checkpoint and puts its metrics on the platform, in the published group `Eval`."""

    def callback(saved: Path) -> None:
        step, found = checkpoint.step_of(saved), of(saved)
        note(f"figures after {step} updates: " + ", ".join(f"{name} {value:.3f}" for name, value in found.items()))
        if platform:
            for name, value in found.items():
                platform.report_scalar(name, value, step, "Eval")

    return callback
