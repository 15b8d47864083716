"""A sentence in other words: other people, other verbs for the same thing, a place or an occasion.

A planner that has seen the captioner's own words alone does not know that who strolls walks. What is done, and to
which side, stays as it was told; nothing that is drawn depends on left or right.
"""

import re

import numpy as np

from data_loaders.captioner.phrases import one
from data_loaders.text.captions import NEUTRAL, conjugated

WHO, VERB, PLACE, OCCASION = 0.6, 0.45, 0.4, 0.12  # shares of the sentences in which each is another

_SUBJECTS = (
    "he", "she", "he", "she", "the man", "the woman", "a boy", "a girl", "the child", "my friend", "his sister",
    "our teacher", "the actor", "an actress", "a soldier", "the worker", "the nurse", "a tourist", "the doctor",
    "a farmer", "the waiter", "a student", "the postman", "anna", "tom", "the old man", "a young woman", "the player",
    "an athlete", "the guest", "a visitor", "the clown", "the mother", "his father", "the robot", "a shopper",
    "the police officer", "one of the children", "the performer", "the hiker",
)  # fmt: skip
_PLACES = (
    "across the yard", "in the garden", "along the path", "in front of a mirror", "on a stage", "at home",
    "in the hall", "at the bus stop", "towards a car", "past a shop", "on the grass", "near a tree", "by the window",
    "in the kitchen", "along the corridor", "over the bridge", "at the beach", "in the snow", "next to a table",
    "on the pavement", "through the gate", "in a large room", "down the road", "at the station", "in the office",
    "behind a fence", "to the shop", "on the platform", "in the playground", "by the river",
    "before the audience", "at the gym",
)  # fmt: skip
_OCCASIONS = (
    "in the morning", "at the party", "after lunch", "as the music plays", "when the bell rings", "during the break",
    "full of thoughts", "on a sunny day", "at the end of the show", "hearing a noise", "without a word", "as usual",
    "to pass the time", "for the camera", "during the rehearsal", "late in the evening",
)  # fmt: skip
# A verb as the captioner says it, and others for the same thing. Of rows that match in one place the first counts.
_VERBS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("walk slowly", ("amble", "trudge", "plod along", "saunter", "shuffle along", "walk in no hurry", "creep along")),
    ("walk quickly", ("hurry", "rush", "stride fast", "walk in a hurry", "bustle along", "speed along on foot")),
    ("walk backwards", ("back off", "withdraw in reverse", "tread backwards", "pace backwards", "go rearwards")),
    ("walk backward", ("back off", "withdraw in reverse", "tread backward", "pace backward", "go rearward")),
    ("take a seat", ("sit down", "sit")),
    ("sit down", ("take a seat", "settle down on a seat", "have a seat", "lower to a seat", "drop onto a chair",
                  "get seated", "sink into a seat")),
    ("stand up", ("get up", "rise", "rise up", "get to the feet", "come to the feet", "straighten up", "arise")),
    ("get up", ("stand up", "rise", "get to the feet", "arise")),
    ("lie down", ("stretch out on the ground", "lay down flat", "go down to lie flat", "settle down on the ground")),
    ("crouch down", ("squat down", "duck", "hunker down", "stoop low", "get down low")),
    ("kneel down", ("go down on the knees", "drop to one knee", "sink to the knees", "fall to the knees")),
    ("start walking", ("set off", "begin to walk", "set out on foot", "get moving")),
    ("stand still", ("stay put", "remain motionless", "keep still", "wait", "freeze")),
    ("walk", ("walk", "stroll", "go", "march", "stride", "tread", "pace", "wander", "proceed", "step along",
              "make tracks", "travel on foot", "head")),
    ("step", ("walk", "tread", "stride", "pace")),
    ("move", ("go", "travel", "advance")),
    ("run", ("run", "race", "dash", "charge", "bolt", "tear along", "speed")),
    ("jog", ("trot", "lope", "run lightly", "run at an easy pace", "run gently")),
    ("sprint", ("race", "dash", "run flat out", "tear along", "run at top speed")),
    ("jump", ("hop", "leap", "spring", "bound", "make a jump", "vault")),
    ("turn", ("turn", "pivot", "rotate", "swivel", "swing round", "wheel")),
    ("spin", ("whirl", "twirl", "rotate", "revolve")),
    ("wave", ("wave", "wave a greeting", "give a wave", "signal by waving", "flap a greeting")),
    ("raise", ("lift", "put up", "hold up", "stretch up", "thrust up", "bring up")),
    ("lift", ("raise", "put up", "hold up", "bring up")),
    ("lower", ("put down", "drop", "bring down", "let down")),
    ("kick", ("kick", "strike out", "boot something", "swing a kick")),
    ("punch", ("punch", "hit", "strike", "jab", "box", "land a blow")),
    ("bow", ("bow", "take a bow", "bend in greeting", "bow respectfully")),
    ("crawl", ("crawl", "creep on all fours", "go on hands and knees", "move on all fours")),
    ("crouch", ("squat", "duck", "stoop", "stay low", "hunch down")),
    ("kneel", ("kneel", "stay on the knees", "be on one knee")),
    ("stop", ("halt", "pause", "come to a halt", "come to a standstill", "pull up", "stand still")),
)  # fmt: skip
_SUBJECT = re.compile(r"\b(?:" + "|".join(sorted({*NEUTRAL}, key=len, reverse=True)) + r")\b")
_MADE_OF = {
    conjugated(f"*{verb}", ending): (row, ending) for row, (verb, _) in reversed([*enumerate(_VERBS)])
    for ending in ("s", "ing", "")
}  # fmt: skip
_VERB = re.compile(r"\b(?:" + "|".join(sorted(_MADE_OF, key=len, reverse=True)) + r")\b")
# "with a step", "the turn": what looks like a verb and is none.
_NO_VERB = re.compile(
    r"(?:\b(?:a|an|the|one|two|three|four|five|of|side|few|\d|more|another|quarter|half|full|slight)) $"
)


def reworded(sentence: str, rng: np.random.RandomState) -> str:
    """The sentence in other words, or (sometimes) as it is."""
    who, verb, place, occasion = rng.uniform(size=4)
    if verb < VERB:
        sentence = _VERB.sub(lambda match: _other(match, rng), sentence)
    if who < WHO:
        sentence = _SUBJECT.sub(one(_SUBJECTS, rng), sentence, count=1)
    where, when = one(_PLACES, rng), one(_OCCASIONS, rng)
    stop = "." if sentence.endswith(".") else ""
    sentence = sentence.removesuffix(".")
    if place < PLACE:
        sentence = f"{sentence} {where}"
    if occasion < OCCASION / 2:
        sentence = f"{when}, {sentence}"
    elif occasion < OCCASION:
        sentence = f"{sentence} {when}"
    return sentence + stop


def _other(match: re.Match[str], rng: np.random.RandomState) -> str:
    """Another verb in the same form."""
    row, ending = _MADE_OF[match[0]]
    verb = one(_VERBS[row][1], rng)
    if _NO_VERB.search(match.string[: match.start()]):
        return match[0]
    return conjugated(f"*{verb}", ending)
