"""What a sentence asks for, in a small language over the phases of a motion, and whether a motion obeys it.

    walk(direction=backward)                somebody walks backward
    raise arm|hold arm up(side=left)        one of these kinds is there, of the left arm
    turn|walk(turned~-90)                   what these turn comes to 90 degrees to the right, within a quarter of that
    jump(count=3)                           jumps are three in all
    walk(speed<0.8), walk(speed<0.9 plain)  metres a second; or times the walk of the plain sentence of the same seed
    run then stand at end                   first the one, then the other, which lasts until the end
    no sit at start and sit down            two things that must both be so; `no` forbids
    looks like dance                        a classifier of real motion takes it for that

Of several phases `turned` (degrees, positive to the left), `angle` (that without its sign), `circle` and `count` are
summed up, of `speed` (m/s) the mean and of `height` (m) and `seconds` the greatest counts.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from data_loaders.captioner.phases import BODY, LIMBS, Phase
from utils.run.errors import DataError
from utils.run.parser import nearest

TEXTS = {
    "side": ("left", "right", "both"),
    "direction": ("forward", "backward", "left", "right", "up", "front", "side"),
}
NUMBERS = ("speed", "turned", "angle", "circle", "count", "height", "seconds")
ABOUT = 0.25  # share of a number within which another is about the same
OVERLAP = 1.0  # seconds that the first of two things in order may go on while the second has begun
# Seconds below which a phase is no answer to a sentence that asks for it: a shift of weight is no walk.
LEAST = {"walk": 0.6, "run": 0.6, "crawl": 0.6, "stand": 0.3, "sit": 0.4, "lie": 0.4, "kneel": 0.4, "crouch": 0.3}

_STEP = re.compile(r"(?P<no>no )?(?P<kinds>[a-z |]+?)(?:\((?P<conditions>[^()]*)\))?(?: at (?P<place>start|end))?")
_CONDITION = re.compile(r"(?P<field>[a-z]+)(?P<sign>[=<>~])(?P<value>[a-z|]+|[+-]?\d*\.?\d+)(?P<plain> plain)?")


@dataclass(frozen=True)
class Condition:
    """A field, one of = < > ~, and words or a number; `plain`: times that of the plain sentence."""

    field: str
    sign: str
    value: float = 0.0
    words: tuple[str, ...] = ()
    plain: bool = False


@dataclass(frozen=True)
class Step:
    """Phases of one of the kinds that keep the conditions; `place` is start, end or anywhere."""

    kinds: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    negated: bool = False
    place: str = ""


@dataclass(frozen=True)
class Expectation:
    """Sequences of steps that must all be obeyed, and the kind that a classifier must see, if any."""

    sequences: tuple[tuple[Step, ...], ...]
    looks: str = ""

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps."""
        return tuple(step for sequence in self.sequences for step in sequence)


def parse(text: str, looks: Sequence[str] = ()) -> Expectation:
    """The expectation that a text says; `looks` are the kinds a classifier knows. Raises DataError, which says why."""
    sequences, seen = [], ""
    for part in text.split(" and "):
        if part.strip().startswith("looks like "):
            seen = part.strip().removeprefix("looks like ").strip()
            if seen not in looks:
                raise DataError(f"{text!r}: nothing looks like {seen!r}{nearest(seen, looks)}; {', '.join(looks)} do")
            continue
        steps = tuple(_step(step.strip(), text) for step in part.split(" then "))
        if len(steps) > 1 and any(step.negated for step in steps):
            raise DataError(f"{text!r}: what must not be has no place in an order; join it by `and`")
        sequences.append(steps)
    return Expectation(tuple(sequences), seen)


def _step(text: str, whole: str) -> Step:
    match = _STEP.fullmatch(text)
    if not match:
        raise DataError(f"{whole!r}: {text!r} is not `KIND`, `KIND(FIELD=VALUE, ...)` or `no KIND`")
    kinds = tuple(kind.strip() for kind in match["kinds"].split("|"))
    for kind in kinds:
        if kind not in BODY + LIMBS:
            known = ", ".join(BODY + LIMBS)
            raise DataError(f"{whole!r}: {kind!r} is no kind of phase{nearest(kind, BODY + LIMBS)}; kinds are {known}")
    conditions = (match["conditions"] or "").split(",") if match["conditions"] is not None else []
    read = tuple(_condition(condition.strip(), whole) for condition in conditions)
    return Step(kinds, read, bool(match["no"]), match["place"] or "")


def _condition(text: str, whole: str) -> Condition:
    match = _CONDITION.fullmatch(text)
    if not match:
        raise DataError(f"{whole!r}: {text!r} is no condition such as side=left, count=3, speed<0.8 or turned~-90")
    field, sign, value = match["field"], match["sign"], match["value"]
    if field in TEXTS:
        words = tuple(value.split("|"))
        if sign != "=" or match["plain"] or not set(words) <= set(TEXTS[field]):
            raise DataError(f"{whole!r}: {text!r} should be {field}= one of {', '.join(TEXTS[field])}")
        return Condition(field, sign, words=words)
    if field not in NUMBERS:
        fields = (*TEXTS, *NUMBERS)
        raise DataError(f"{whole!r}: {field!r} is no field of a phase{nearest(field, fields)}; {', '.join(fields)} are")
    try:
        number = float(value)
    except ValueError:
        raise DataError(f"{whole!r}: {text!r} compares {field} with what is no number") from None
    if not math.isfinite(number):
        raise DataError(f"{whole!r}: {text!r} compares {field} with what is no number")
    if sign == "=" and field != "count":
        raise DataError(f"{whole!r}: {text!r} should be {field}~{value}, for nothing measured is exactly a number")
    if match["plain"] and (field not in ("speed", "seconds") or sign not in "<>"):
        raise DataError(f"{whole!r}: only speed and seconds are compared, by < or >, with those of a plain sentence")
    return Condition(field, sign, number, plain=bool(match["plain"]))


def obeys(
    expectation: Expectation, phases: Sequence[Phase], taken_for: str = "", plain: Sequence[Phase] | None = None
) -> bool:
    """Whether the phases of a motion are what is expected.

    `taken_for` is what a classifier saw; `plain` are the phases of the motion to compare with, without which (or if it
    does not show the kind at all) nothing that is compared with it holds.
    """
    if expectation.looks and taken_for != expectation.looks:
        return False
    return all(_sequence_obeyed(sequence, phases, plain) for sequence in expectation.sequences)


def _sequence_obeyed(steps: Sequence[Step], phases: Sequence[Phase], plain: Sequence[Phase] | None) -> bool:
    candidates = [_candidates(step, phases) for step in steps]
    if len(steps) == 1:
        step, found = steps[0], candidates[0]
        if step.negated:
            return not any(_holds(step, [phase], plain) for phase in found)
        return bool(found) and _holds(step, found, plain)
    anchors = _in_order(candidates)
    if anchors is None:
        return False
    ends = [*(phase.start for phase in anchors[1:]), math.inf]
    return all(
        _holds(step, [phase for phase in found if anchor.start <= phase.start < end], plain)
        for step, found, anchor, end in zip(steps, candidates, anchors, ends, strict=True)
    )


def _in_order(candidates: Sequence[Sequence[Phase]]) -> list[Phase] | None:
    """The first phase of each step after that of the step before, or None where that is not the order.

    Nothing of a later step may come before the step that precedes it, unless it belongs to an earlier step as well.
    """
    anchors: list[Phase] = []
    earlier: set[int] = set()
    for found in candidates:
        before = anchors[-1] if anchors else None
        if before is not None and any(phase.start < before.start and id(phase) not in earlier for phase in found):
            return None
        later = [
            phase
            for phase in found
            if before is None or (phase.start > before.start and before.end <= phase.start + OVERLAP)
        ]
        if not later:
            return None
        anchors.append(later[0])
        earlier.update(id(phase) for phase in found)
    return anchors


def _candidates(step: Step, phases: Sequence[Phase]) -> list[Phase]:
    """The phases of a step's kinds, sides and directions, at its place, by start."""
    words = [condition for condition in step.conditions if condition.words]
    return sorted(
        (
            phase
            for phase in phases
            if phase.kind in step.kinds
            and phase.seconds >= LEAST.get(phase.kind, 0.0)
            and all(getattr(phase, condition.field) in condition.words for condition in words)
            and {"start": phase.begun, "end": phase.lasts}.get(step.place, True)
        ),
        key=lambda phase: phase.start,
    )


def _holds(step: Step, found: Sequence[Phase], plain: Sequence[Phase] | None) -> bool:
    """Whether phases keep the numbers of a step."""
    for condition in (condition for condition in step.conditions if not condition.words):
        wanted, is_ = condition.value, measured(condition.field, found)
        if condition.plain:
            beside = [phase for phase in plain or () if phase.kind in step.kinds]
            if not beside:
                return False
            wanted *= measured(condition.field, beside)
        right = {
            "=": is_ == wanted,
            "<": is_ < wanted,
            ">": is_ > wanted,
            "~": abs(is_ - wanted) <= ABOUT * abs(wanted),
        }
        if not right[condition.sign]:
            return False
    return True


def measured(field: str, phases: Sequence[Phase]) -> float:
    """A field of several phases taken together; degrees for `turned` and `angle`. 0 of none."""
    if field in ("turned", "angle"):
        turned = math.degrees(sum(phase.turned for phase in phases))
        return turned if field == "turned" else abs(turned)
    if field == "speed":
        seconds = sum(phase.seconds for phase in phases)
        return sum(phase.speed * phase.seconds for phase in phases) / seconds if seconds > 0 else 0.0
    if field in ("height", "seconds"):
        return max((getattr(phase, field) for phase in phases), default=0.0)
    return sum(getattr(phase, field) for phase in phases)


def shown(phases: Sequence[Phase]) -> str:
    """What a motion shows, in one line: kinds in order of time, with what is told of each."""

    def one(phase: Phase) -> str:
        facts = [fact for fact in (phase.side, phase.direction) if fact]
        facts += [f"{math.degrees(phase.turned):+.0f} deg"] * (abs(phase.turned) > math.radians(20))
        facts += [f"circle {phase.circle:+.2f}"] * bool(phase.circle)
        facts += [f"x{phase.count}"] * bool(phase.count)
        facts += [f"{phase.speed:.1f} m/s"] * (phase.speed > 0)
        told = f"({', '.join(facts)})" if facts else ""
        return f"{phase.kind}{told} {phase.start:.1f}-{phase.end:.1f}"

    return "; ".join(map(one, phases)) or "nothing"
