"""What is done with each milestone of a training beside keeping it: nothing here can end the training, or change it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from train.common.loop import note
from train.common.platforms import Platform
from utils.run import checkpoint
from utils.run.errors import PolykineError, sentence
from utils.run.parallel import alone
from utils.run.randomness import seeded

Look = Callable[[Path], None]


def looking(looks: Sequence[Look], seed: int) -> Look:
    """The `after_save` of the training loop: each of `looks` at a checkpoint, in order, by this rank alone.

    One that fails is told and passed over. Torch's global generators, from which a network is built before its weights
    are read, are put back.
    """

    def after_save(saved: Path) -> None:
        for look in looks:
            try:
                with alone(), seeded(seed, "milestone", checkpoint.step_of(saved)):
                    look(saved)
            except (PolykineError, OSError) as error:
                note(f"{saved}: {sentence(error)} (the training goes on)")

    return after_save


def films(make: Callable[[Path], Sequence[Path]], platform: Platform | None) -> Look:
    """A look that has mp4 files made from a checkpoint and shows them on the platform."""

    def look(saved: Path) -> None:
        made = make(saved)
        if platform:
            platform.report_media(made, checkpoint.step_of(saved))

    return look


def figures(of: Callable[[Path], Mapping[str, float]], platform: Platform | None) -> Look:
    """A look that takes the figures of a checkpoint and puts them on the platform, in the published group `Eval`."""

    def look(saved: Path) -> None:
        step, found = checkpoint.step_of(saved), of(saved)
        note(f"figures after {step} updates: " + ", ".join(f"{name} {value:.3f}" for name, value in found.items()))
        if platform:
            for name, value in found.items():
                platform.report_scalar(name, value, step, "Eval")

    return look
