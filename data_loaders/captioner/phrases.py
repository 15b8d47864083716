"""What a phase of a motion is called in English: one of several verb phrases, `*` before the verbs to conjugate.

Which phrase is drawn depends on a generator and never on left or right, so that the mirrored phase is told by the
mirrored phrase. A phrase may leave facts out (`level`: 0 says little, 2 nearly all), and tells none that is not so.
"""

import math
from collections.abc import Sequence

import numpy as np

from data_loaders.captioner.phases import Phase
from data_loaders.text.captions import conjugated

NUMBERS = ("no", "one", "two", "three", "four", "five")
TIMES = ("", "once", "twice", "three times", "four times", "five times")
MOST_COUNTED = 5
SIDE_TOLD = (0.8, 0.88, 0.97)  # share of the phrases of a level that tell a side or direction; this file's own choice
PACE_TOLD = (0.15, 0.35, 0.6)  # and of those that tell a speed
COUNT_TOLD = (0.15, 0.5, 0.8)  # a number
ANGLE_TOLD = (0.1, 0.45, 0.8)  # an angle

# Below the first number somebody is slow at it, above the second quick. Walk, run and crawl in metres a second: adults
# walk at 1.2 to 1.4 (Bohannon 1997) and run from about 2; turn in radians a second. TAKEN is in seconds, quick below
# and slow above. All but the walk are this file's own choice.
PACES = {"walk": (0.65, 1.65), "run": (1.9, 4.2), "crawl": (0.2, 0.6), "turn": (0.7, 2.6)}
TAKEN = {"sit down": (0.8, 2.2), "rise": (0.7, 2.2), "lie down": (1.2, 3.5), "crouch down": (0.5, 1.8),
         "kneel down": (0.6, 2.2), "raise arm": (0.35, 1.3), "lower arm": (0.35, 1.3), "bow": (1.0, 3.5)}  # fmt: skip

TURN_LEAST = math.radians(30)  # an angle that is told; people walk straight on within it
STRAIGHT = math.radians(15)  # within it "straight ahead" is said
# Degrees from which on an angle is called so, and what it is called, to a side {side}.
ANGLES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (30, ("*turn slightly {side}", "*turn a little {side}", "*make a slight turn {to_side}",
          "*turn about 45 degrees {to_side}")),
    (62, ("*turn {side} by about 90 degrees", "*turn about 90 degrees {to_side}", "*make a quarter turn {to_side}",
          "*turn a quarter {to_side}", "*turn 90 degrees {side}", "*do a quarter turn {to_side}")),
    (118, ("*turn {side} by about 135 degrees", "*turn about 135 degrees {to_side}",
           "*turn {side} by more than 90 degrees")),
    (150, ("*turn around {to_side}", "*turn {side} by about 180 degrees", "*make a half turn {to_side}",
           "*turn half around {to_side}", "*turn 180 degrees {side}", "*do a half turn {to_side}",
           "*turn about {to_side} to face the other way")),
    (215, ("*turn {side} by about 270 degrees", "*make three quarters of a turn {to_side}",
           "*turn 270 degrees {to_side}")),
    (310, ("*turn all the way round {to_side}", "*turn {side} by 360 degrees", "*make a full turn {to_side}",
           "*spin all the way round {to_side}", "*turn a full circle {to_side}", "*spin around once {to_side}")),
    (450, ("*spin round and round {to_side}", "*spin around {to_side}", "*turn round more than once {to_side}",
           "*keep turning {to_side}")),
)  # fmt: skip

CIRCLE_LEAST = 0.12  # share of a circle from which on a path is a curve
# Share from which on the path is called so; `{way}` is clockwise or counterclockwise, `{to_side}` to the left or right.
CIRCLES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.12, ("in a curve {to_side}", "in an arc {to_side}", "along a curve {to_side}", "in a wide bend {to_side}",
            "in a {way} curve", "along a {way} arc", "and *curve {side}", "and *curve {to_side}")),
    (0.38, ("in a half circle {to_side}", "half a circle {way}", "in a {way} half circle", "half of a {way} circle",
            "in a semicircle {to_side}", "in a {way} semicircle", "halfway round a circle {to_side}")),
    (0.62, ("three quarters of a circle {way}", "most of a {way} circle", "in a circle {to_side}", "in a {way} circle",
            "around {way}", "around in a {way} circle")),
    (0.85, ("in a {way} circle", "in a circle {way}", "in a circle {to_side}", "{way} in a circle",
            "a full {way} circle",
            "around in a {way} circle", "a full circle {to_side}", "once around a circle, {way}", "around {way}",
            "in a circle, turning {side}")),
    (1.35, ("in circles {to_side}", "in {way} circles", "round and round {way}", "in a {way} circle",
            "around and around {to_side}", "in circles, {way}")),
)  # fmt: skip


def one(choices: Sequence[str], rng: np.random.RandomState) -> str:
    """One of the choices."""
    return choices[rng.randint(len(choices))]


def said(phase: Phase, level: int, rng: np.random.RandomState, before: Phase | None = None, paced: bool = True) -> str:
    """A verb phrase for a phase after the phase `before`; `paced` is whether it may tell how fast."""
    phrase = _TELLERS[phase.kind](phase, level, rng, before)
    pace, told, place = _pace(phase), rng.uniform() < PACE_TOLD[level], rng.uniform()
    if not (paced and told and pace):
        return phrase
    adverb = one(_ADVERBS[pace], rng)
    if place < 0.25 and phrase.startswith("*"):
        return f"{adverb} {phrase}" if adverb.endswith("ly") else f"{phrase} {adverb}"
    return f"{phrase} {adverb}"


_ADVERBS = {
    "slow": ("slowly", "slowly", "at a slow pace", "unhurriedly"),
    "quick": ("quickly", "fast", "briskly", "rapidly"),
}


def _pace(phase: Phase) -> str:
    """`slow`, `quick` or neither."""
    if phase.kind in PACES:
        low, high = PACES[phase.kind]
        speed = abs(phase.turned) / max(phase.seconds, 1e-6) if phase.kind == "turn" else phase.speed
        return "slow" if 0 < speed < low else "quick" if speed > high else ""
    if phase.kind in TAKEN and not (phase.begun or phase.lasts):
        short, long = TAKEN[phase.kind]
        return "quick" if phase.seconds < short else "slow" if phase.seconds > long else ""
    return ""


def counted(phase: Phase) -> int:
    """The number that may be told: of what was seen from its beginning to its end, and few enough to be counted."""
    return phase.count if 1 <= phase.count <= MOST_COUNTED and not (phase.begun or phase.lasts) else 0


def _times(phase: Phase, level: int, rng: np.random.RandomState) -> str:
    """` three times` or nothing."""
    number, told, digits = counted(phase), rng.uniform() < COUNT_TOLD[level], rng.uniform() < 0.3
    if not number or not told:
        return ""
    return f" {number} times" if digits and number > 1 else f" {TIMES[number]}"


def _sides(turned: float) -> dict[str, str]:
    side = "left" if turned > 0 else "right"
    way = "counterclockwise" if turned > 0 else "clockwise"
    return {"side": side, "to_side": f"to the {side}", "way": way}


def of_table(table: Sequence[tuple[float, tuple[str, ...]]], amount: float) -> tuple[str, ...]:
    """The phrases of the last row whose least amount is not above this one."""
    return next((phrases for least, phrases in reversed(table) if amount >= least), table[0][1])


# ------------------------------------------------------------------------------------------------ over the floor

_WALK = ("*walk", "*walk", "*walk", "*walk", "*step", "*move")
_RUN = ("*run", "*run", "*run", "*jog")
_CRAWL = ("*crawl", "*crawl", "*crawl on hands and knees", "*move on all fours", "*crawl along the floor",
          "*creep on hands and knees")  # fmt: skip
_WHERE = {
    "forward": ("forward", "forward", "forwards", "ahead", "forward"),
    "backward": ("backward", "backwards", "backward", "backwards", "in reverse"),
    "sideways": ("to the {side}", "sideways to the {side}", "to the {side} side", "to the {side}"),
}
_WALKS = {
    "forward": ("*stroll", "*stroll forward", "*walk straight on", "*head forward", "*take a few steps forward"),
    "backward": ("*back up", "*back away", "*step back", "*take a few steps back", "*go backwards"),
    "sideways": ("*sidestep to the {side}", "*step to the {side}", "*shuffle to the {side}",
                 "*take side steps to the {side}",
                 "*strafe {side}"),
}  # fmt: skip
_STEPS = ("*take {n} step{s} {where}", "*walk {n} step{s} {where}", "*make {n} step{s} {where}",
          "*go {n} step{s} {where}")  # fmt: skip


def _locomotion(phase: Phase, level: int, rng: np.random.RandomState, before: Phase | None) -> str:
    told, shape, counts, digits, start = (rng.uniform() for _ in range(5))
    walks = phase.kind == "walk"
    verb = one({"walk": _WALK, "run": _RUN, "crawl": _CRAWL}[phase.kind], rng)
    tells = told < SIDE_TOLD[level]
    axis = {"left": "sideways", "right": "sideways"}.get(phase.direction, phase.direction)
    if abs(phase.circle) >= CIRCLE_LEAST:
        return _round(phase, verb, axis, tells, rng)
    if abs(phase.turned) >= TURN_LEAST and axis != "sideways":
        return _round_corner(phase, verb, axis, tells, level, rng)
    if not tells or axis not in _WHERE:
        return "*walk" if walks else verb
    where = one(_WHERE[axis], rng)
    number = counted(phase)
    if walks and number and counts < COUNT_TOLD[level]:
        n = str(number) if digits < 0.35 else NUMBERS[number]
        phrase = one(_STEPS, rng).format(n=n, s="" if number == 1 else "s", where=where)
    elif walks and shape < 0.3:
        phrase = one([p for p in _WALKS[axis] if "few" not in p or not 1 <= phase.count <= 2], rng)
    elif axis == "forward" and abs(phase.turned) < STRAIGHT and shape > 0.85:
        phrase = f"{verb} {one(('straight ahead', 'in a straight line', 'straight forward', 'straight on'), rng)}"
    else:
        phrase = f"{verb} {where}"
    phrase = phrase.format(side=phase.direction)
    stood = before is not None and before.kind in ("stand", "rise") and not phase.begun
    return f"*start {_gerund(phrase)}" if stood and start < 0.2 and "step" not in phrase else phrase


def _gerund(phrase: str) -> str:
    return conjugated(phrase, "ing")


def _round(phase: Phase, verb: str, axis: str, tells: bool, rng: np.random.RandomState) -> str:
    """A walk or run along an arc or a circle; whose left it curves to is told of a way forward alone."""
    choices = of_table(CIRCLES, abs(phase.circle))
    if axis in ("backward", "sideways"):
        choices = [text for text in choices if "side}" not in text]
    choice, back = one(choices, rng), one(_WHERE["backward"], rng)
    if not tells:
        choice = one(
            ("around", "in a curve") if abs(phase.circle) < 0.6 else ("in a circle", "around in a circle"), rng
        )
    where = f" {back}" if axis == "backward" else ""
    return f"{verb}{where} {choice}".format(**_sides(phase.circle))


_CORNERS = (
    "{walk} and *turn {side}", "{walk} and *turn {to_side}", "{walk}, turning {side}", "{walk}, turning {to_side}",
    "*turn {side} while {walking}", "*turn {to_side} while {walking}", "*make a turn {to_side} while {walking}",
    "{walk} around a corner {to_side}", "{walk} and then *turn {side}", "{walk} and *bear {side}",
)  # fmt: skip


def _round_corner(phase: Phase, verb: str, axis: str, tells: bool, level: int, rng: np.random.RandomState) -> str:
    """A walk or run on which the heading turns."""
    angle, choice = rng.uniform() < ANGLE_TOLD[level], one(_CORNERS, rng)
    where, turn = one(_WHERE.get(axis, ("",)), rng), one(of_table(ANGLES, math.degrees(abs(phase.turned))), rng)
    walk = f"{verb} {where}" if axis == "backward" or (axis == "forward" and "corner" not in choice) else verb
    if not tells:
        return one((f"{walk} and *turn", f"{walk}, turning", f"*turn while {_gerund(walk)}"), rng)
    if angle:
        choice = one((f"{{walk}} and {turn}", f"{turn} while {{walking}}", f"{{walk}}, {_gerund(turn)},"), rng).rstrip(
            ","
        )
    elif abs(phase.turned) > math.radians(150) and "corner" in choice:
        choice = "{walk} and *turn around {to_side}"
    return choice.format(walk=walk, walking=_gerund(walk), **_sides(phase.turned))


def _turn(phase: Phase, level: int, rng: np.random.RandomState, before: Phase | None) -> str:
    tells, angle = rng.uniform() < SIDE_TOLD[level], rng.uniform() < max(ANGLE_TOLD[level], 0.3)
    degrees = math.degrees(abs(phase.turned))
    plain = ("*turn {side}", "*turn {to_side}", "*turn on the spot {to_side}", "*turn {side} on the spot",
             "*rotate {to_side}",
             "*pivot {to_side}", "*turn to face {side}")  # fmt: skip
    if degrees >= 150:
        plain = (
            "*turn around {to_side}",
            "*turn round {to_side}",
            "*spin {to_side}",
            "*turn around, {way}",
            "*spin {way}",
        )
    phrase = one(of_table(ANGLES, degrees) if angle else plain, rng).format(**_sides(phase.turned))
    unsided = one(("*turn", "*turn on the spot") if degrees < 150 else ("*turn around", "*turn round"), rng)
    return phrase if tells else unsided


_JUMPS = {
    "forward": ("*jump forward", "*jump forwards", "*leap forward", "*make a jump forward", "*jump ahead",
                "*hop forward"),
    "backward": ("*jump backward", "*jump backwards", "*hop backward", "*jump back", "*leap backwards"),
    "sideways": ("*jump to the {side}", "*hop to the {side}", "*jump sideways to the {side}", "*leap to the {side}",
                 "*jump {side}"),
    "up": ("*jump up", "*jump into the air", "*jump on the spot", "*jump straight up", "*jump up and down", "*leap up",
           "*spring up", "*hop on the spot"),
    "": ("*jump", "*leap", "*hop", "*jump", "*make a jump"),
}  # fmt: skip
JUMP_HIGH = 0.35  # metres that the root rises above standing: half of all people cannot (this file's own choice)


def _jump(phase: Phase, level: int, rng: np.random.RandomState, before: Phase | None) -> str:
    tells, high = rng.uniform() < SIDE_TOLD[level], rng.uniform() < COUNT_TOLD[level]
    axis = {"left": "sideways", "right": "sideways"}.get(phase.direction, phase.direction)
    choices = _JUMPS[axis if tells and axis in _JUMPS else ""]
    if phase.count <= 1:
        choices = [text for text in choices if "up and down" not in text]
    elif phase.count > 1:
        choices = [text for text in choices if "make a" not in text]
    phrase = one(choices, rng).format(side=phase.direction)
    if abs(phase.turned) >= math.radians(60):
        turn = one((", turning {side} in the air", " and *turn {side} in the air", " with a turn {to_side}"), rng)
        phrase += turn.format(**_sides(phase.turned)) if tells else ""
    elif phase.height >= JUMP_HIGH and high and " up" not in phrase:
        phrase += " high"
    return phrase + _times(phase, level, rng)


# ------------------------------------------------------------------------------------------------------- posture

SEAT_LOW, SEAT_HIGH = 0.3, 0.62  # metres of a seat over the floor: the ground below, a chair to, a high stool above
_SEATS = {"ground": (" on the ground", " on the floor"), "chair": (" on a chair", " on a seat", " on a stool"),
          "stool": (" on a stool", " on a high stool"), "": ("",)}  # fmt: skip


def _seat(phase: Phase) -> str:
    if phase.height <= 0:
        return ""
    return "ground" if phase.height < SEAT_LOW else "chair" if phase.height < SEAT_HIGH else "stool"


def _sit_down(phase: Phase, level: int, rng: np.random.RandomState, before: Phase | None) -> str:
    told = rng.uniform() < COUNT_TOLD[level]
    phrase = one(("*sit down", "*sit down", "*lower the body to sit", "*get seated", "*go from standing to sitting"),
                 rng)  # fmt: skip
    if phrase.startswith("*go") and (before is None or before.kind != "stand"):
        phrase = "*sit down"
    return phrase + (one(_SEATS[_seat(phase)], rng) if told else "")


def _sit(phase: Phase, level: int, rng: np.random.RandomState, before: Phase | None) -> str:
    told = rng.uniform() < COUNT_TOLD[level]
    if before is not None and before.kind == "sit down":
        return one(("*stay seated", "*remain seated", "*keep sitting"), rng)
    phrase = one(("*sit", "*sit", "*sit still", "*stay seated", "*remain seated"), rng)
    return phrase + (one(_SEATS[_seat(phase)], rng) if told else "")


_POSTURES: dict[str, tuple[str, ...]] = {
    "crouch down": ("*crouch down", "*crouch", "*squat down", "*go into a crouch", "*bend the knees and *go down low",
                    "*get into a squat", "*duck down"),
    "crouch": ("*crouch", "*squat", "*stay crouched", "*stay in a crouch", "*remain in a squat"),
    "kneel down": ("*kneel down", "*get down on the knees", "*go down on the knees", "*drop to the knees", "*kneel"),
    "kneel": ("*kneel", "*stay on the knees", "*remain kneeling", "*kneel on the floor"),
    "lie down": ("*lie down", "*lie down on the floor", "*lie down on the ground", "*get down and *lie on the floor",
                 "*go down to lie on the ground"),
    "lie": ("*lie", "*lie on the floor", "*lie on the ground", "*stay lying", "*lie still", "*rest on the floor"),
    "stand": ("*stand", "*stand still", "*stand in place", "*wait", "*stand on the spot", "*remain standing"),
}  # fmt: skip
STOPS = ("*stop", "*stop", "*come to a stop", "*halt", "*come to a halt", "*stand still", "*stop and *stand")
MOVING = ("walk", "run", "crawl", "turn")


def _posture(phase: Phase, level: int, rng: np.random.RandomState, before: Phase | None) -> str:
    if phase.kind == "stand" and before is not None and before.kind in MOVING:
        return one(STOPS, rng)
    return one(_POSTURES[phase.kind], rng)


_RISES = {
    "sit": ("*stand up", "*get up", "*rise", "*stand up from sitting", "*rise from the seat", "*get to the feet"),
    "crouch": ("*stand up", "*come up again", "*straighten up", "*rise from the crouch", "*stand up straight"),
    "kneel": ("*stand up", "*get up", "*rise from the knees", "*get to the feet", "*stand up from kneeling"),
    "lie": ("*get up", "*stand up", "*get up from the floor", "*rise from the ground", "*get to the feet"),
    "": ("*stand up", "*get up", "*rise", "*get to the feet", "*rise to the feet"),
}


def _rise(phase: Phase, level: int, rng: np.random.RandomState, before: Phase | None) -> str:
    below = before.kind.removesuffix(" down") if before is not None else ""
    return one(_RISES.get(below, _RISES[""]), rng)


# -------------------------------------------------------------------------------------------------- arms and legs


def _limb(phase: Phase, tells: bool, limb: str, rng: np.random.RandomState) -> str:
    """`the left hand`, `both arms`, `an arm`, with a word for the limb: arm, hand, leg."""
    if phase.side == "both":
        return one((f"both {limb}s", f"both {limb}s", f"the {limb}s"), rng)
    side = f"the {phase.side} {limb}" if phase.side else ""
    other = one((f"one {limb}", f"{'an' if limb[0] in 'aeiou' else 'a'} {limb}"), rng)
    return side if tells and side else other


ARM_OVERHEAD = 0.25  # metres of the hand above the shoulder: about that of the top of the head
_ARM = {
    "raise arm": {
        "": ("*raise {it}", "*lift {it}", "*raise {it} up", "*lift {it} up", "*put {it} up"),
        "up": ("*raise {it}", "*raise {it} up", "*lift {it} up", "*put {it} up", "*raise {it} high",
               "*stretch {it} up"),
        "front": ("*raise {it} in front", "*stretch {it} out to the front", "*lift {it} forward",
                  "*hold {it} out in front",
                  "*reach forward with {it}"),
        "side": ("*raise {it} to the side", "*stretch {it} out to the side", "*lift {it} sideways",
                 "*spread {it} to the side",
                 "*raise {it} out sideways"),
    },
    "hold arm up": {
        "": ("*hold {it} up", "*keep {it} up", "*keep {it} raised", "*hold up {it}", "*stand with {it} raised"),
        "front": ("*hold {it} out in front", "*keep {it} stretched out in front", "*hold {it} forward"),
        "side": ("*hold {it} out to the side", "*keep {it} stretched out to the side", "*hold {it} out sideways"),
    },
    "lower arm": {
        "": ("*lower {it}", "*let {it} down", "*put {it} down", "*drop {it}", "*take {it} down", "*bring {it} down"),
    },
    "wave": {
        "": ("*wave {it}", "*wave with {it}", "*wave {it} in greeting", "*wave hello with {it}",
             "*wave at someone with {it}",
             "*give a wave with {it}"),
    },
    "punch": {
        "": ("*punch with {it}", "*throw a punch with {it}", "*hit the air with {it}", "*strike with {it}",
             "*punch forward with {it}"),
    },
    "kick": {
        "": ("*kick with {it}", "*kick with {it}", "*do a kick with {it}", "*swing {it} to kick",
             "*throw a kick with {it}",
             "*kick {it} out"),
    },
}  # fmt: skip
_LIMBS = {"punch": ("hand", "fist", "arm"), "kick": ("leg", "foot"), "wave": ("hand", "hand", "arm")}
_BARE = {"wave": ("*wave", "*wave hello", "*wave at someone"), "punch": ("*punch", "*throw a punch", "*punch the air"),
         "kick": ("*kick", "*throw a kick", "*do a kick")}  # fmt: skip
KICK_LOW, KICK_HIGH = (
    0.45,
    1.0,
)  # metres of the foot over the floor: the knee, the hip (segments of Winter 2009 at 1.7 m)


def _arm(phase: Phase, level: int, rng: np.random.RandomState, before: Phase | None) -> str:
    tells, where, bare = (rng.uniform() for _ in range(3))
    limb = _limb(phase, tells < SIDE_TOLD[level], one(_LIMBS.get(phase.kind, ("arm", "arm", "hand")), rng), rng)
    tables = _ARM[phase.kind]
    direction = phase.direction if where < SIDE_TOLD[level] and phase.direction in tables else ""
    phrase = one(tables[direction], rng).format(it=limb)
    if phase.side == "both":
        phrase = phrase.replace("to the side", "to the sides").replace("a punch with", "punches with")
        phrase = phrase.replace("a kick with", "kicks with")
    if phase.kind in _BARE and tells >= SIDE_TOLD[level] and bare < 0.7:
        phrase = one(_BARE[phase.kind], rng)
    overhead = rng.uniform() < COUNT_TOLD[level]
    if phase.kind == "raise arm" and direction == "up" and phase.height >= ARM_OVERHEAD and overhead:
        phrase = f"{phrase.removesuffix(' high')} {one(('above the head', 'over the head', 'overhead'), rng)}"
    high = rng.uniform() < COUNT_TOLD[level]
    if phase.kind == "kick" and phase.height and high and phrase.endswith(("leg", "foot", "kick")):
        phrase += " high" if phase.height >= KICK_HIGH else " low" if phase.height <= KICK_LOW else ""
    raised = before is not None and before.kind in ("raise arm", "hold arm up") and before.side == phase.side
    again = rng.uniform()
    if phase.kind == "lower arm" and raised and again < 0.5:
        it = "them" if phase.side == "both" else "it"
        return one((f"*lower {it} again", f"*put {it} down again", f"*let {it} down", f"*lower {it}"), rng)
    times = _times(phase, level, rng) if phase.kind in _BARE else ""
    if times.strip() and " a " in phrase and phase.count > 1:
        return one(_BARE[phase.kind][:1], rng) + (f" with {limb}" if tells < SIDE_TOLD[level] else "") + times
    return phrase + times


def _bow(phase: Phase, level: int, rng: np.random.RandomState, before: Phase | None) -> str:
    phrase = one(
        ("*bow", "*bow", "*take a bow", "*make a bow", "*bow forward", "*bend forward in a bow", "*bow from the waist"),
        rng,
    )
    return phrase + ("" if " a bow" in phrase else _times(phase, level, rng))


_TELLERS = {
    "walk": _locomotion, "run": _locomotion, "crawl": _locomotion, "turn": _turn, "jump": _jump, "sit down": _sit_down,
    "sit": _sit, "rise": _rise, "bow": _bow, **dict.fromkeys(_POSTURES, _posture), **dict.fromkeys(_ARM, _arm),
}  # fmt: skip
