"""English sentences about the phases of a motion (`phases.Phase`), at several levels of detail and in many wordings.

What a sentence tells is told in the order in which it was done, and is so; it may leave things out. The sentences of
the mirrored phases are the mirrored sentences (`mirrored`): nothing that is drawn depends on left or right.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_loaders.captioner import phrases
from data_loaders.captioner.phases import BODY, LIMBS, Phase
from data_loaders.text.captions import NEUTRAL, PLAIN, Style, conjugated, performer

LEVELS = (0.2, 0.6)  # shares of the sentences below which they tell the main thing alone, and the main things
EVENTS = (1, 3, 6)  # things that are told at a level, at most
TRIES = 8  # drafts for each sentence that is asked for: what there is little to say of has few

STAND_SHORT = 0.7  # seconds of standing between others that are not told
STOP_SHORT = 0.4  # seconds of standing at the end that make a stop
PIECE_SHORT = 0.6  # seconds of walking or running that are told at the lower levels
# How much a thing says about a window beside others, times the root of its seconds.
WEIGHTS = {
    "stand": 0.15, "walk": 1.0, "run": 1.4, "jump": 2.2, "turn": 1.0, "sit down": 2.0, "sit": 0.7, "crouch down": 1.8,
    "crouch": 0.8, "kneel down": 2.0, "kneel": 0.9, "lie down": 2.2, "lie": 0.9, "crawl": 1.5, "rise": 1.8,
    "raise arm": 1.4, "lower arm": 0.3, "hold arm up": 0.4, "wave": 1.8, "punch": 2.0, "kick": 2.4, "bow": 2.0,
}  # fmt: skip
_POSTURES = ("sit", "crouch", "kneel", "lie", "stand", "hold arm up")


@dataclass(frozen=True)
class _Event:
    """A thing to tell, and what the arms and legs do meanwhile."""

    main: Phase
    during: tuple[Phase, ...] = ()


def sentences(phases: Sequence[Phase], rng: np.random.RandomState, count: int, style: Style | None = None) -> list[str]:
    """At most `count` distinct sentences about one window, in a style if there is one; none about no phases."""
    events = _events(phases)
    made: dict[str, None] = {}
    for _ in range(TRIES * count if events else 0):
        if len(made) >= count:
            break
        made[_sentence(events, rng, style)] = None
    return list(made)


# ------------------------------------------------------------------------------------------------- what is told


def _events(phases: Sequence[Phase]) -> list[_Event]:
    """The phases of the body, with those of the limbs that lie within them; these stand alone in one who stands."""
    body = _joined([phase for phase in phases if phase.kind in BODY])
    limbs = _joined([phase for phase in phases if phase.kind in LIMBS])
    during: dict[int, list[Phase]] = {}
    events = []
    for limb in limbs:
        shared = [min(limb.end, phase.end) - max(limb.start, phase.start) for phase in body]
        host = int(np.argmax(shared)) if shared else -1
        if host < 0 or body[host].kind == "stand":
            events.append(_Event(limb))
        else:
            during.setdefault(host, []).append(limb)
    events += [_Event(phase, tuple(during.get(index, ()))) for index, phase in enumerate(body)]
    return sorted(events, key=lambda event: event.main.start)


def _joined(phases: Sequence[Phase]) -> list[Phase]:
    """The phases, with neighbours of the same kind as one if what is said of both together is so of each."""
    joined: list[Phase] = []
    for phase in sorted(phases, key=lambda phase: phase.start):
        last = joined[-1] if joined else None
        if last is not None and _alike(last, phase):
            seconds = last.seconds + phase.seconds
            joined[-1] = replace(
                last,
                end=phase.end,
                lasts=phase.lasts,
                turned=last.turned + phase.turned,
                circle=last.circle + phase.circle,
                count=last.count + phase.count,
                height=max(last.height, phase.height),
                speed=(last.speed * last.seconds + phase.speed * phase.seconds) / seconds if seconds > 0 else 0.0,
            )
        else:
            joined.append(phase)
    return joined


def _alike(first: Phase, second: Phase) -> bool:
    def bend(phase: Phase) -> int:
        return int(np.sign(phase.turned)) if abs(phase.turned) > phrases.STRAIGHT else 0

    same = (first.kind, first.side, first.direction) == (second.kind, second.side, second.direction)
    round_ = [abs(phase.circle) >= phrases.CIRCLE_LEAST for phase in (first, second)]
    return (
        same and bend(first) == bend(second) and (not any(round_) or (all(round_) and first.circle * second.circle > 0))
    )


def _weight(event: _Event) -> float:
    main = event.main
    weight = WEIGHTS[main.kind] * math.sqrt(max(main.seconds, 0.05))
    if main.kind == "turn":
        weight *= min(abs(main.turned) / math.radians(60), 2.0)
    return weight + sum(0.5 * WEIGHTS[phase.kind] for phase in event.during)


def _minor(events: Sequence[_Event], index: int) -> bool:
    """Whether a thing is left out at the lower levels."""
    phase, last = events[index].main, index == len(events) - 1
    before = events[index - 1].main if index else None
    if phase.kind == "stand":
        stops = before is not None and before.kind in phrases.MOVING and phase.seconds >= STOP_SHORT
        alone = all(event.main.kind in ("stand", "lower arm", "hold arm up") for event in events)
        meanwhile = any(event.main.kind in LIMBS and event.main.start < phase.end for event in events[index + 1 :])
        return not (stops and last) and not alone and (index > 0 or meanwhile or phase.seconds < 2 * STAND_SHORT)
    if phase.kind == "turn":
        return abs(phase.turned) < phrases.TURN_LEAST
    if phase.kind in ("lower arm", "hold arm up", "sit", "crouch", "kneel", "lie"):
        return before is not None and _follows(phase.kind, before.kind)
    return phase.kind in ("walk", "run") and phase.seconds < PIECE_SHORT


def _follows(kind: str, before: str) -> bool:
    """Whether the one is what naturally comes after the other."""
    if kind in ("lower arm", "hold arm up"):
        return before in ("raise arm", "hold arm up", "wave")
    return before == f"{kind} down"


def _told(events: Sequence[_Event], level: int, rng: np.random.RandomState) -> list[_Event]:
    """What a sentence of a level tells, in order."""
    whole = rng.uniform() < 0.6
    indices = range(len(events))
    if level < 2:
        indices = [i for i in indices if not _minor(events, i)] or list(indices)
    else:
        indices = [i for i in indices if not (_minor(events, i) and _slight(events, i))] or list(indices)
    heaviest = sorted(indices, key=lambda i: -_weight(events[i]))[: EVENTS[level]]
    if level == 1 and whole and len(heaviest) > 2:
        heaviest = heaviest[:2]
    return _reunited([events[i] for i in sorted(heaviest)])


def _slight(events: Sequence[_Event], index: int) -> bool:
    """Whether a minor thing is left out at the highest level, too."""
    phase = events[index].main
    within = 0 < index < len(events) - 1
    return phase.kind == "turn" or (phase.kind == "stand" and phase.seconds < STAND_SHORT and (within or index == 0))


def _reunited(events: list[_Event]) -> list[_Event]:
    """The events, with neighbours that would be told alike (what lay between them is left out) as one."""
    made: list[_Event] = []
    for event in events:
        if made and _alike(made[-1].main, event.main):
            main = _joined([made[-1].main, event.main])[0]
            made[-1] = _Event(main, made[-1].during + event.during)
        else:
            made.append(event)
    return made


# ---------------------------------------------------------------------------------------------- how it is told

# Between two clauses in order; `{ing}` takes the participle.
_THEN = (", then {}", ", then {}", " and then {}", " and then {}", ", and then {}", ", after that {}", " and {}",
         " and {}",
         " before {ing}")  # fmt: skip


def _sentence(events: Sequence[_Event], rng: np.random.RandomState, style: Style | None) -> str:
    """One sentence."""
    level = int(np.searchsorted(LEVELS, rng.uniform()))
    subject, manner = performer(rng, style, rng.uniform() >= PLAIN)
    told = _told(events, level, rng)
    clauses = []
    for index, event in enumerate(told):
        before = told[index - 1].main if index else None
        clauses.append(_clause(event, level, rng, before, paced=not manner))
    shape, late, stop = rng.uniform(), rng.uniform() < 0.5, "." * (rng.uniform() < 0.1)
    if manner:
        place = len(clauses) - 1 if late else 0
        clauses[place] = f"{clauses[place]} {manner}"
    impersonal = manner or subject in NEUTRAL
    begun = told[0].main.begun and (told[0].main.kind in _POSTURES or rng.uniform() < 0.3)
    stays = clauses[0].startswith(("*stay", "*remain", "*keep"))  # nobody "is remaining seated"
    if begun and not stays and (shape < 0.8 or not impersonal):
        return f"{subject} is {_chain(clauses, 's', rng, first='ing')}{stop}"
    if shape < 0.12 and len(clauses) > 1:
        return _afterwards(clauses, subject, rng) + stop
    if shape < 0.58 or (not impersonal and shape < 0.8):
        return f"{subject} {_chain(clauses, 's', rng)}{stop}"
    if (shape < 0.72 or not impersonal) and not stays:
        return f"{subject} is {_chain(clauses, 'ing', rng)}{stop}"
    return _chain(clauses, "ing" if shape < 0.86 and not stays else "", rng) + stop


def _clause(event: _Event, level: int, rng: np.random.RandomState, before: Phase | None, paced: bool) -> str:
    """What is done, with what the arms and legs do meanwhile."""
    main, wanted, turned_round = event.main, rng.uniform(), rng.uniform()
    clause = phrases.said(main, level, rng, before, paced)
    limbs = [phase for phase in event.during if WEIGHTS[phase.kind] > 0.5] or list(event.during)
    if not limbs or wanted > (0.7, 0.85, 1.0)[level]:
        return clause
    told = sorted(sorted(limbs, key=lambda p: -WEIGHTS[p.kind])[: 1 if level < 2 else 2], key=lambda p: p.start)
    beside = [phrases.said(limb, level, rng, paced=False) for limb in told]
    if len(beside) == 1 and turned_round < 0.3 and " while " not in clause:
        return f"{beside[0]} while {conjugated(clause, 'ing')}"
    doing = " and then ".join(conjugated(text, "ing") for text in beside)
    if " while " in clause:
        return f"{clause} and {doing}"
    return f"{clause} while {doing}" if turned_round < 0.9 else f"{clause}, {doing}"


def _chain(clauses: Sequence[str], ending: str, rng: np.random.RandomState, first: str = "") -> str:
    """Clauses in order, each with its verbs in the form of `ending` (the first one's in another)."""
    text = conjugated(clauses[0], first or ending)
    for index, clause in enumerate(clauses[1:], 1):
        last = index == len(clauses) - 1
        between = phrases.one(_THEN if last else _THEN[:6], rng)
        if between == " and {}" and re.search(" and |, ", clause + clauses[index - 1]):
            between = ", then {}"
        if (
            clause.startswith(("*stop", "*halt", "*come to"))
            and last
            and ", " not in clauses[index - 1]
            and rng.uniform() < 0.6
        ):
            between = " and {}"
        if "{ing}" in between:
            text += between.format(ing=conjugated(clause, "ing"))
        else:
            text += between.format(conjugated(clause, ending))
    return text


def _afterwards(clauses: Sequence[str], subject: str, rng: np.random.RandomState) -> str:
    """`after walking forward, a person sits down`, or `first a person walks forward, then ...`."""
    first, rest = conjugated(clauses[0], "ing"), _chain(clauses[1:], "s", rng)
    kind = rng.randint(3)
    if kind == 0:
        return f"after {first}, {subject} {rest}"
    if kind == 1:
        return f"first {subject} {conjugated(clauses[0], 's')}, then {rest}"
    return f"{subject} {rest} after {first}" if len(clauses) == 2 else f"after {first}, {subject} {rest}"
