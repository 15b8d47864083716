"""Whether a window shows what a label says: sentences made from labels go with such windows alone."""

import math
from collections.abc import Callable, Sequence

from data_loaders.captioner.phases import Phase, mirrored_phases

Shown = Callable[[Sequence[Phase]], bool]

GOING = 0.8  # seconds of walking or running that make a walk or run of a window
TURNED = math.radians(35)  # angle of a turn


def agrees(kind: str, flip: bool, phases: Sequence[Phase]) -> bool:
    """Whether a window shows a kind of `captions.PHRASES` (or its mirror image).

    What the captioner cannot see (a dance, a laugh) is believed. Raises KeyError for an unknown kind.
    """
    return SHOWN[kind](mirrored_phases(phases) if flip else phases)


def _seconds(phases: Sequence[Phase], kinds: Sequence[str], directions: Sequence[str] = ()) -> float:
    return sum(p.seconds for p in phases if p.kind in kinds and (not directions or p.direction in directions))


def _any(kinds: str, sides: str = "") -> Shown:
    """Whether a phase of one of the kinds (of one of the sides) is there; several are parted by `|`."""

    def shown(phases: Sequence[Phase]) -> bool:
        return any(p.kind in kinds.split("|") and (not sides or p.side in sides.split("|")) for p in phases)

    return shown


def _goes(kind: str, directions: str = "") -> Shown:
    """Whether somebody walks or runs, more than into other directions."""

    def shown(phases: Sequence[Phase]) -> bool:
        wanted = _seconds(phases, (kind,), tuple(filter(None, directions.split("|"))))
        return wanted >= GOING and wanted >= 0.5 * _seconds(phases, ("walk", "run"))

    return shown


def _turned(phases: Sequence[Phase]) -> float:
    return sum(p.turned for p in phases if p.kind in ("walk", "run", "turn"))


def _turns_left(kind: str) -> Shown:
    def shown(phases: Sequence[Phase]) -> bool:
        return _goes(kind)(phases) and _turned(phases) >= TURNED

    return shown


def _walks_left(phases: Sequence[Phase]) -> bool:
    """A walk to the left, or aslant: that counts as forward."""
    return _goes("walk", "left|forward")(phases) and _turned(phases) > -TURNED


def _raises(side: str) -> Shown:
    """Whether an arm of that side is up, and none of the other."""
    other = {"left": "right", "both": ""}[side]

    def shown(phases: Sequence[Phase]) -> bool:
        arms = [p for p in phases if p.kind in ("raise arm", "hold arm up", "wave")]
        sides = {p.side for p in arms}
        return side in sides and other not in sides or (side == "both" and {"left", "right"} <= sides)

    return shown


def _believed(phases: Sequence[Phase]) -> bool:
    return True


def _idle(phases: Sequence[Phase]) -> bool:
    """Standing, with no more than a step."""
    return _seconds(phases, ("walk", "run", "jump", "crawl", "lie", "sit", "kick")) < GOING


_ONE_ARM = _any("wave|raise arm|hold arm up", "left|right")
_TWO_ARMS = _any("wave|raise arm|hold arm up", "both|left|right")
_KICKS, _PUNCHES, _JUMPS = _any("kick"), _any("punch"), _any("jump")

# Kinds out of the captioner's sight, or as good as any movement.
BELIEVED = frozenset((
    "call", "guide", "kata", "block", "sword", "dance", "ballet", "pirouette", "indian dance", "salsa",
    "breakdance", "charleston", "lambada", "exercise", "climb", "ladder", "stairs", "basketball",
    "basketball_signal", "direct traffic", "laugh", "drink", "wash", "bend", "balance", "gesture", "move",
))  # fmt: skip
# What of the kinds of motion in `captions.PHRASES` a window has to show.
SHOWN: dict[str, Shown] = {
    "walk": _goes("walk"), "walk-turn-left": _turns_left("walk"), "walk-left": _walks_left,
    "walk-back": _goes("walk", "backward"), "walk-uneven": _goes("walk"), "navigate": _goes("walk"),
    "run": _goes("run"), "run-turn-left": _turns_left("run"), "dash": _goes("run"),
    "raise-up-left-hand": _raises("left"), "raise-up-both-hands": _raises("both"),
    "wave-left-hand": _raises("left"), "wave-both-hands": _raises("both"), "bye": _ONE_ARM, "byebye": _TWO_ARMS,
    "bow": _any("bow"), "respond": _raises("left"),
    "punch": _PUNCHES, "box": _PUNCHES, "run-punch": _PUNCHES, "lunge": _PUNCHES,
    "kick": _KICKS, "kick-front": _KICKS, "kick-round": _KICKS, "kick-side": _KICKS,
    "jump": _JUMPS, "jump-forward": _JUMPS, "jump-reach": _any("jump|raise arm|hold arm up"),
    "sit": _any("sit down"), "soccer": _any("kick|run|walk"), "idle": _idle,

    **dict.fromkeys(BELIEVED, _believed),
}  # fmt: skip
