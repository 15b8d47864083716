"""A plan of phases put right where its sentence tells numbers: the way that somebody goes, how far, fast and often.

A planner learns these from sentences that mostly leave them open, and plans what is usual. What is told plainly is put
into the plan; what is done when, and everything that is not told, stays the planner's.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from data_loaders.captioner.phases import BODY, Phase
from data_loaders.captioner.phrases import PACES, TAKEN
from data_loaders.captioner.told import LEAST_TURN, PATHS, Told

CLEARLY = 1.15  # how far beyond the limit of what is called slow or quick
CLOSE = 0.1  # share of a told angle within which a plan stays as it is
SIDE_TURN = math.pi / 2  # a turn to a side without an angle
# Seconds that something takes that is done once, and each further time, and the share of them within which a plan stays
# as it is: medians of the shipped data (save/mocap_text).
TIMES = {"jump": (1.2, 0.5), "kick": (0.55, 1.2), "punch": (0.25, 0.75), "wave": (0.9, 0.9), "walk": (0.6, 0.45)}
USUAL = (0.75, 1.4)
STEPPING = 0.6  # metres a second, at least, of who takes a number of steps
STEADY = {"left": 0.8, "right": 0.8, "backward": 0.9}  # metres a second, at most, of people who go this way

Plan = list[Phase]


def corrected(steps: Sequence[Told], phases: Sequence[Phase]) -> tuple[Phase, ...]:
    """The phases with what the steps of a sentence tell, but for steps of a kind that the sentence tells twice.

    Who runs in the plan where walking is told walks, and the other way round, where nothing else is left to do it.
    """
    plan = list(phases)
    for step in steps:
        kind = step.main
        if sum(other.main == kind for other in steps) > 1:
            continue
        if kind in PATHS and not any(phase.kind == kind for phase in plan):
            plan = [replace(phase, kind=kind) if phase.kind in PATHS else phase for phase in plan]
        turns = bool(step.turn or step.angle)
        plan = [_paced(step, _directed(step, phase)) if phase.kind == kind else phase for phase in plan]
        own = [place for place, phase in enumerate(plan) if phase.kind == kind]
        if turns and (places := [place for place, phase in enumerate(plan) if phase.kind in step.kinds]):
            _turn(step, plan, own if own and kind != "turn" else places)
        elif len(own) == 1 and (seconds := _seconds(step, plan[own[0]])):
            plan = _lasting(plan, own[0], seconds, step.count)
    return tuple(sorted(plan, key=lambda phase: phase.start))


def _directed(step: Told, phase: Phase) -> Phase:
    """A phase that goes the way that is told."""
    if not step.directions or phase.direction in step.directions or phase.kind not in (*PATHS, "jump"):
        return phase
    way = step.directions[0]
    return replace(phase, direction=way, speed=min(phase.speed, STEADY.get(way, phase.speed)), turned=0.0)


def _paced(step: Told, phase: Phase) -> Phase:
    """A walk, run or crawl that is slow or quick as told; its steps change with the root of its speed."""
    if not step.pace or phase.kind not in PACES or not phase.speed:
        return phase
    slow, quick = PACES[phase.kind]
    speed = min(phase.speed, slow / CLEARLY) if step.pace == "slow" else max(phase.speed, quick * CLEARLY)
    return replace(phase, speed=speed, count=round(phase.count * math.sqrt(speed / phase.speed)))


def _turn(step: Told, plan: Plan, places: Sequence[int]) -> None:
    """Let one phase of a plan turn as far as is told, and the others of its kinds not at all."""
    total = sum(plan[place].turned for place in places)
    side = step.turn or math.copysign(1, total)
    told = step.angle or 2 * math.pi * step.circle
    if abs(side * total - told) <= CLOSE * told if told else side * total >= LEAST_TURN:
        return
    longest = max(places, key=lambda place: plan[place].seconds)
    most = max(places, key=lambda place: side * plan[place].turned)
    chosen = longest if step.circle or side * plan[most].turned <= 0 else most
    for place in places:
        if place == chosen:
            plan[place] = replace(plan[place], turned=side * (told or SIDE_TURN))
        elif plan[place].kind == "turn":
            plan[place] = replace(plan[place], kind="stand", turned=0.0)
        else:
            plan[place] = replace(plan[place], turned=0.0)


def _seconds(step: Told, phase: Phase) -> float:
    """How long a phase takes by what is told of its pace or of how often it is done; 0 where it may stay."""
    if step.count and phase.kind in TIMES:
        once, further = TIMES[phase.kind]
        wanted = once + further * (step.count - 1)
        low, high = USUAL
        return 0.0 if phase.count == step.count and low <= phase.seconds / wanted <= high else wanted
    if not step.pace or phase.kind not in TAKEN:
        return 0.0
    quick, slow = TAKEN[phase.kind]
    wanted = slow * CLEARLY if step.pace == "slow" else quick / CLEARLY
    return wanted if (phase.seconds < wanted) == (step.pace == "slow") else 0.0


def _lasting(plan: Plan, place: int, seconds: float, count: int) -> Plan:
    """The plan with a phase that lasts so long; what the body does after it begins then, or it stands."""
    phase, last = plan[place], max(each.end for each in plan)
    end = min(phase.start + seconds, last)
    speed = max(phase.speed, STEPPING) if phase.kind == "walk" and count else phase.speed
    longer = replace(phase, end=end, count=count or phase.count, speed=speed, lasts=end == last)
    others = [each for number, each in enumerate(plan) if number != place]
    if phase.kind not in BODY:
        return [*others, longer]
    after = [each for each in others if each.kind in BODY and each.start >= phase.end - 1e-6]
    kept = [each for each in others if each not in after]
    following = [each for each in after if each.end > end]
    if following:
        following[0] = replace(following[0], start=end)
    elif end < last:
        following = [Phase("stand", end, last, lasts=True)]
    return [*kept, longer, *following]
