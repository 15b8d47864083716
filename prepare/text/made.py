"""Motion made from motion, named as such: what recordings lack is made from what they have.

`bent`: walks and runs along arcs, circles, corners and S-curves. `joined`: two or three kinds of motion in a row. All
on the bones of the features, from clips of one part of the data. Each clip's record says in `made` how, and of which
clips, and in `parts` the labels, and the seconds, of what it is joined from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prepare.text.folder import Clip
from prepare.text.making.bent import bent_clips
from prepare.text.making.joined import joined_clips
from prepare.text.making.material import materials_of

PARTS = ("train", "val")  # what is tested on is what was recorded


@dataclass(frozen=True)
class Amounts:
    """How many clips of each kind are made for each clip there is, at most."""

    bent: float = 0.4
    joined: float = 1.0

    def times(self, factor: float) -> "Amounts":
        """All of them multiplied by a factor."""
        return Amounts(**{name: factor * amount for name, amount in vars(self).items()})


AMOUNTS = Amounts()


def made_from(clips: Sequence[Clip], fps: float, seed: int, amounts: Amounts = AMOUNTS) -> list[Clip]:
    """Clips made of these, which are at `fps`: the same for the same clips and seed.

    Made of clips of one part, they belong to that part; of the test part none are made.
    """
    found: list[Clip] = []
    for part in PARTS:
        own = [clip for clip in clips if clip.record["split"] == part]
        materials = materials_of(own, fps)
        found += bent_clips(materials, round(len(own) * amounts.bent), seed)
        found += joined_clips(materials, round(len(own) * amounts.joined), seed)
    return found
