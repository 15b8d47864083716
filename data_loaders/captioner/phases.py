"""What a person does in a motion, piece by piece: the phases that the captioner finds, and a judge compares.

Phases of the body (`BODY`) follow one another and fill the motion. Those of arms and legs (`LIMBS`) lie over them and
may overlap. Directions and sides are the person's own; an angle is in radians, positive to the person's left
(counterclockwise seen from above).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

BODY = ("stand", "walk", "run", "jump", "turn", "sit down", "sit", "crouch down", "crouch", "kneel down", "kneel",
        "lie down", "lie", "crawl", "rise")  # fmt: skip
LIMBS = ("raise arm", "lower arm", "hold arm up", "wave", "punch", "kick", "bow")


@dataclass(frozen=True)
class Phase:
    """One thing that is done from `start` to `end` (seconds from the first frame).

    What a kind has no use for keeps its default. `begun` is whether it was already going on in the first frame, `lasts`
    whether it still is in the last.
    """

    kind: str
    start: float
    end: float
    side: str = ""  # left, right or both: of arms and legs
    direction: str = (
        ""  # of a walk, run or jump: forward, backward, left, right, up, "" on the spot; of an arm: up, front, side
    )
    speed: float = 0.0  # metres a second, of the root over the floor
    turned: float = 0.0  # angle that the heading turned, of walk, run, turn and jump
    circle: float = 0.0  # signed share of a circle that the path goes round, 0 for a path that is none
    count: int = 0  # steps, jumps, waves, punches, kicks
    height: float = 0.0  # metres: how high a jump goes, a foot kicks, a hand is raised above its shoulder, a seat is
    begun: bool = False
    lasts: bool = False

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end - self.start


_OPPOSITE = {"left": "right", "right": "left"}


def mirrored_phases(phases: Iterable[Phase]) -> tuple[Phase, ...]:
    """The phases of the mirrored motion."""
    return tuple(
        replace(
            phase,
            side=_OPPOSITE.get(phase.side, phase.side),
            direction=_OPPOSITE.get(phase.direction, phase.direction),
            turned=-phase.turned,
            circle=-phase.circle,
        )
        for phase in phases
    )
