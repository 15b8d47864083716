"""What a sentence tells of a motion, by its words, and how well the phases of a motion fit that.

For choosing among motions of one sentence. The words of a sentence become steps (`Told`): something that is done, with
the side, direction, turn, count and pace that stand beside its verb. What the table of verbs does not know is no step.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from data_loaders.captioner import lexicon
from data_loaders.captioner.phases import BODY, Phase
from data_loaders.captioner.phrases import PACES, TAKEN

MEANT = 0.85  # share of a fit that tells whether each step is done, the rest: whether nothing else is
LEAST_TURN = math.radians(35)  # a turn to a side without an angle is one from here on
ANGLE_OFF = 0.5  # share of an angle by which a turn that misses it is worth nothing
COUNT_OFF = 0.4  # worth of a count that is wrong by one
UNORDERED = 0.5  # of a step that is done, but before the step that it comes after
OTHER_SIDE = 0.3  # worth of both arms where one is told, or of one where both are
LASTING = {"walk": 1.2, "run": 1.2, "crawl": 1.2, "stand": 0.6, "sit": 0.6}  # seconds below which it is worth less
PATHS = ("walk", "run")
TURNING = (*PATHS, "turn")


@dataclass(frozen=True)
class Told:
    """One thing that a sentence tells: phases of these kinds, each with its worth, 0 to 1.

    `side`: left, right or both of arms and legs; `directions` of a walk, run or jump; `turn`: 1 to the left, -1 to the
    right; `angle` in radians; `circle`: the share of a circle; `count` of steps, jumps and such; `pace`: slow or quick.
    What is not told keeps its default. `later`: after the step before it.
    """

    kinds: Mapping[str, float] = field(default_factory=dict)
    side: str = ""
    directions: tuple[str, ...] = ()
    turn: int = 0
    angle: float = 0.0
    circle: float = 0.0
    count: int = 0
    pace: str = ""
    later: bool = False

    @property
    def main(self) -> str:
        """The kind that is meant, the first of those that will do."""
        return next(iter(self.kinds))


_VERB = re.compile("|".join(rf"\b(?P<v{row}>{pattern})\b" for row, (pattern, _) in enumerate(lexicon.VERBS)))
_JOINT = re.compile(lexicon.JOINTS)
_WEAK = ("and", ",", "while", "as", "with")  # joints that do not say that what follows comes later
_IN_TURN = ("and", ",")  # but of two things that one cannot do at once the second does
_SIDED = ("wave", "raise arm", "lower arm", "punch", "kick")
_POSTURES = {"sit down": "sit", "crouch down": "crouch", "kneel down": "kneel", "lie down": "lie"}


def told(sentence: str) -> tuple[Told, ...]:
    """The steps that a sentence tells, in the order in which they are done; none where its verbs are not known."""
    text = " ".join(re.findall(r"[a-z0-9'-]+|[.,;]", sentence.lower()))
    for idiom, plain in lexicon.IDIOMS:
        text = re.sub(idiom, plain, text)
    if after := re.match(r"(.*) after (?!that|which)(.*)", text):
        text = f"{after[2]} then {after[1]}"
    steps: list[Told] = []
    for joint, part in _parts(text):
        for number, step in enumerate(_steps_of(part)):
            later = number == 0 and bool(steps) and _is_later(joint, steps[-1], step)
            steps.append(replace(step, later=later))
    return tuple(steps)


def _parts(text: str) -> list[tuple[str, str]]:
    """The parts of a sentence between words that join them, each with that word and at least one verb, if there is one.

    A part without a verb belongs to the one before it.
    """
    parts, end, joint = [("", "")], 0, ""
    for match in [*_JOINT.finditer(text), None]:
        part = text[end : match.start() if match else len(text)].strip()
        if _VERB.search(part) and _VERB.search(parts[-1][1]):
            parts.append((joint, part))
        else:
            stronger = joint if not _VERB.search(parts[-1][1]) and joint not in _WEAK else parts[-1][0]
            parts[-1] = (stronger, f"{parts[-1][1]} {part}".strip())
        if match:
            # "and then", ", then" and the like: the strongest of joints with nothing between them.
            joint = match[0] if part or match[0] not in _WEAK else joint
            end = match.end()
    return parts


def _is_later(joint: str, before: Told, step: Told) -> bool:
    """Whether a step comes after the one before it."""
    if joint not in _WEAK:
        return True
    first = {each.main for each in (before, step)}
    at_once = bool(first - {*BODY}) or ("turn" in first and bool(first & {*PATHS}))
    return joint in _IN_TURN and not at_once


def _steps_of(part: str) -> list[Told]:
    """The steps of a part of a sentence, one a verb; two verbs of one kind tell one step ("walks two steps")."""
    verbs = []
    for match in _VERB.finditer(part):
        kinds = lexicon.VERBS[int(str(match.lastgroup)[1:])][1] if match.lastgroup else {}
        if not verbs or verbs[-1][1] != kinds:
            verbs.append((match.start(), kinds))
    starts = [0, *(start for start, _ in verbs[1:]), len(part)]
    return [_step(part[starts[i] : starts[i + 1]], kinds) for i, (_, kinds) in enumerate(verbs)]


def _step(words: str, kinds: Mapping[str, float]) -> Told:
    """What is told by the words about one verb."""
    first = next(iter(kinds))
    side = next(iter(re.findall(r"\b(left|right)(?:wards?)?\b(?! away)", words)), "")
    around = next(iter(re.findall(lexicon.AROUND, words)), "")
    turn = {"left": 1, "right": -1, "": 0}[side] if not around else (-1 if around == "clockwise" else 1)
    step = Told(kinds, count=_count(words, first), pace=_pace(words))
    if first in _SIDED:
        both = re.search(r"\bboth\b", words) or (not side and re.search(r"\b(hands|arms)\b", words))
        return replace(step, side="both" if both else side)
    if first == "turn":
        return replace(
            step, turn=turn, angle=next((a for pattern, a in lexicon.ANGLES if re.search(pattern, words)), 0.0)
        )
    if first not in (*PATHS, "jump", "crawl"):
        return step
    if first != "jump" and re.search(lexicon.ROUND, words):
        share = next(amount for pattern, amount in lexicon.CIRCLES if re.search(pattern, words))
        return replace(step, turn=turn, circle=share)
    if around or re.search(lexicon.CURVED, words):
        return replace(step, turn=turn)
    return replace(step, directions=_directions(words, side, first))


def _directions(words: str, side: str, kind: str) -> tuple[str, ...]:
    """The directions that somebody goes in, by words."""
    if re.search(lexicon.BACKWARD, words):
        return ("backward",)
    if kind == "jump" and re.search(lexicon.UPWARD, words):
        return ("up",)
    if re.search(lexicon.FORWARD, words):
        return ("forward",)
    if side:
        return (side,)
    return ("left", "right") if re.search(lexicon.SIDEWAYS, words) else ()


def _count(words: str, kind: str) -> int:
    """How often, or how many steps; 0 where that is not told."""
    for word, number in lexicon.ADVERBS.items():
        if re.search(rf"\b{word}\b", words):
            return number
    if not (found := re.search(lexicon.COUNTED, words)) or (kind in PATHS) != found["what"].startswith(lexicon.STEPS):
        return 0
    word = found["number"]
    return int(word) if word.isdigit() else lexicon.NUMBERS.get(word, 1)


def _pace(words: str) -> str:
    if re.search(lexicon.SLOW, words):
        return "slow"
    return "quick" if re.search(lexicon.QUICK, words) else ""


# ------------------------------------------------------------------------------------------------ against a motion


def fit(steps: Sequence[Told], phases: Sequence[Phase]) -> float:
    """How well the phases of a motion fit the steps of a sentence, 0 to 1; 1 where it tells none.

    Each step is set against one phase, in the order of the steps, as it fits them all best together.
    """
    if not steps:
        return 1.0
    worth = [[_worth(step, phase, phases, steps) for phase in phases] for step in steps]
    return MEANT * _aligned(steps, phases, worth) / len(steps) + (1 - MEANT) * _nothing_else(steps, phases)


def _aligned(steps: Sequence[Told], phases: Sequence[Phase], worth: Sequence[Sequence[float]]) -> float:
    """The most that the steps together can be worth, one phase each; a step out of order counts less."""
    best = [0.0]
    for number, (step, values) in enumerate(zip(steps, worth, strict=True)):
        now = []
        for place, value in enumerate(values):
            reached = max(
                before + value * (1 if number == 0 or not step.later or _follows(phases, last, place) else UNORDERED)
                for last, before in enumerate(best)
            )
            now.append(reached)
        best = [*now, max(best)]  # the last: the step is not done
    return max(best)


def _follows(phases: Sequence[Phase], last: int, place: int) -> bool:
    """Whether a phase begins after another, or that one is none."""
    return last >= len(phases) or (last != place and phases[place].start > phases[last].start)


def _nothing_else(steps: Sequence[Told], phases: Sequence[Phase]) -> float:
    """The share of the time in which the body does nothing that is not told."""
    kinds = {kind for step in steps for kind in step.kinds} | {"stand"}
    if kinds & {*PATHS}:
        kinds.add("turn")
    body = [phase for phase in phases if phase.kind in BODY]
    # Who sits down sits afterwards, not before.
    kinds -= {_POSTURES[step.main] for step in steps if step.main in _POSTURES}
    since = {_POSTURES[phase.kind]: phase.start for phase in reversed(body) if phase.kind in _POSTURES}
    told = [phase for phase in body if phase.kind in kinds or phase.start >= since.get(phase.kind, math.inf)]
    return sum(p.seconds for p in told) / max(sum(p.seconds for p in body), 1e-9)


def _worth(step: Told, phase: Phase, phases: Sequence[Phase], steps: Sequence[Told]) -> float:
    """What a phase is worth as a step, 0 to 1: half of it for being of the kind, the rest for what else is told."""
    if phase.kind not in step.kinds:
        return 0.0
    alone = sum(set(step.kinds) == set(other.kinds) for other in steps) == 1
    seen = [each for each in phases if each.kind in step.kinds] if alone else [phase]
    facts = []
    if step.side:
        facts.append(_side(step.side, phase) * _share(seen, [each for each in seen if _side(step.side, each) == 1]))
    if step.directions:
        facts.append(_direction(step, phase) * _share(seen, [each for each in seen if _direction(step, each) > 0]))
    if step.turn or step.angle or step.circle:
        facts.append(_turning(step, sum(each.turned for each in seen)))
    if step.count:
        off = abs(sum(each.count for each in seen if each.kind == phase.kind) - step.count)
        facts.append(1.0 if off == 0 else COUNT_OFF if off == 1 else 0.0)
    if step.pace and phase.kind in (*PACES, *TAKEN):
        facts.append(_paced(step.pace, phase, step.main == "turn"))
    lasts = 1.0 if step.count or phase.kind not in LASTING else min(1.0, phase.seconds / LASTING[phase.kind])
    return step.kinds[phase.kind] * lasts * (1 + sum(facts)) / (1 + len(facts))


def _side(side: str, phase: Phase) -> float:
    return 1.0 if phase.side == side else OTHER_SIDE if "both" in (side, phase.side) else 0.0


def _direction(step: Told, phase: Phase) -> float:
    return float(phase.direction in step.directions)


def _share(phases: Sequence[Phase], right: Sequence[Phase]) -> float:
    """The share of the time of phases that is right."""
    return sum(phase.seconds for phase in right) / max(sum(phase.seconds for phase in phases), 1e-9)


def _turning(step: Told, turned: float) -> float:
    """How near the angle turned is to what is told: the sign, and the angle or the share of a circle."""
    turned = turned * step.turn if step.turn else abs(turned)
    wanted = step.angle or 2 * math.pi * step.circle
    if not wanted:
        return min(max(turned / LEAST_TURN, 0.0), 1.0)
    return max(0.0, 1 - abs(turned - wanted) / (ANGLE_OFF * wanted)) if turned > 0 else 0.0


def _paced(pace: str, phase: Phase, turns: bool) -> float:
    """How slow or quick a phase is, between what is called so: by its speed, or by the time that it takes."""
    if phase.kind in PACES:
        slow, quick = PACES["turn" if turns else phase.kind]
        speed = abs(phase.turned) / max(phase.seconds, 1e-6) if turns else phase.speed
    else:
        (quick, slow), speed = TAKEN[phase.kind], phase.seconds
    share = min(max((speed - slow) / (quick - slow), 0.0), 1.0)
    return share if pace == "quick" else 1 - share
