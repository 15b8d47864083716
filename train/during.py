"""What is done with each milestone of a training beside keeping it: nothing here can end the training, or change it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from train.loop import note
from train.platforms import Platform
from utils.run import checkpoint
from utils.run.errors import PolykineError, sentence
from utils.run.randomness import seeded

Look = Callable[[Path], None]


def looking(looks: Sequence[Look], seed: int) -> Look:
    """The `after_save` of the training loop: each of `looks` at a checkpoint, in order.

    One that fails is told and passed over. Torch's global generators, from which a network is built before its weights
    are read, are put back.
    """

    def after_save(saved: Path) -> None:
        for look in looks:
            try:
                with seeded(seed, "milestone", checkpoint.step_of(saved)):
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
