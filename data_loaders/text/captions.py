"""Sentences made from labels.

They are verb phrases (`*` marks the words to conjugate)
put into templates with a subject and the style of the motion. What is made for a clip depends on its name alone.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_loaders.common.labels import PHRASES_OF
from data_loaders.texts import mirrored, normalised
from utils.run.randomness import numpy_rng

SENTENCES = 12  # of a clip, its own ones first
POOL = 100  # sentences of a kind of motion in a style, from which its clips draw
PLAIN = 0.2  # share of the sentences of a styled motion that do not tell the style

NEUTRAL = (
    "a person", "a person", "a person", "a person", "someone", "the person", "a human", "a figure", "somebody",
    "the figure", "a man", "a woman",
)  # fmt: skip
_UNSEXED = tuple(subject for subject in NEUTRAL if not subject.endswith("man") or subject == "a human")
_STAND = ("*stand still", "*stand in place", "*stand around", "*stand idle", "*wait", "*stand and *wait",
          "*shift weight from foot to foot", "*stand on the spot")  # fmt: skip

# Kinds of motion: what someone who does it does.
PHRASES: dict[str, tuple[str, ...]] = {
    "walk": (
        "*walk", "*walk", "*walk forward", "*walk ahead", "*stroll", "*amble", "*take a walk", "*go for a walk",
        "*wander forward", "*step forward", "*move forward on foot",
    ),
    "walk-turn-left": (
        "*walk and *turn left", "*walk and *turn to the left", "*walk forward and then *turn left",
        "*turn left while walking", "*make a left turn while walking", "*walk around a corner to the left",
        "*walk, turning left", "*walk in a curve to the left",
    ),
    "walk-left": (
        "*walk diagonally to the left", "*walk to the left", "*step to the left", "*walk forward and to the left",
        "*drift to the left while walking", "*veer left while walking",
    ),
    "walk-back": (
        "*walk backward", "*walk backwards", "*step backward", "*back up", "*move backwards", "*walk in reverse",
        "*go backwards on foot",
    ),
    "walk-uneven": ("*walk on uneven ground", "*walk over rough terrain", "*step over bumpy ground"),
    "navigate": ("*walk forward, backward and sideways", "*walk to and fro", "*walk around in all directions"),
    "run": ("*run", "*run", "*run forward", "*jog", "*run ahead", "*go for a run", "*run straight ahead"),
    "run-turn-left": (
        "*run and *turn left", "*run and *turn to the left", "*turn left while running", "*run in a curve to the left",
        "*run, turning left", "*make a left turn while running",
    ),
    "dash": ("*sprint", "*dash forward", "*run very fast", "*sprint forward", "*dash ahead", "*run at full speed"),
    "raise-up-left-hand": (
        "*raise the left hand", "*raise the left hand up", "*raise the left arm", "*lift the left hand",
        "*lift the left arm up", "*put the left hand up", "*hold up the left hand", "*reach up with the left hand",
        "*stretch the left arm up", "*raise a hand", "*lift an arm",
    ),
    "raise-up-both-hands": (
        "*raise both hands", "*raise both hands up", "*raise both arms", "*lift both hands", "*lift both arms up",
        "*put both hands up", "*hold up both hands", "*reach up with both arms", "*stretch both arms up",
        "*raise the arms above the head", "*put the hands in the air",
    ),
    "wave-left-hand": (
        "*wave the left hand", "*wave with the left hand", "*wave the left arm", "*wave at someone with the left hand",
        "*give a wave with the left hand", "*wave hello with the left hand", "*wave", "*wave a hand", "*wave hello",
    ),
    "wave-both-hands": (
        "*wave both hands", "*wave with both hands", "*wave both arms", "*wave at someone with both hands",
        "*wave hello with both hands", "*wave both arms in the air", "*wave the arms",
    ),
    "bye": (
        "*wave goodbye with one hand", "*wave goodbye", "*wave bye", "*say goodbye with a wave",
        "*wave goodbye with the right hand", "*wave with one hand",
    ),
    "byebye": (
        "*wave goodbye with both hands", "*wave bye with both hands", "*say goodbye with both hands",
        "*wave both hands goodbye",
    ),
    "bow": ("*bow", "*take a bow", "*make a bow", "*bow down", "*bend forward and *bow", "*bow politely"),
    "call": ("*call someone over", "*beckon someone", "*beckon with the hands", "*gesture for someone to come"),
    "guide": (
        "*point the way with one arm", "*show the way with one arm", "*point the way", "*show someone the way",
        "*gesture to the side with one arm",
    ),
    "respond": ("*raise a hand to respond", "*raise the left hand to answer", "*answer by raising a hand"),
    "punch": ("*punch", "*throw a punch", "*throw punches", "*punch with the fist", "*punch the air", "*hit the air"),
    "box": ("*box", "*throw punches", "*shadow box", "*punch like a boxer", "*practise boxing"),
    "run-punch": ("*run up and *punch", "*step in and *throw a punch", "*rush forward and *punch"),
    "kick": ("*kick", "*throw a kick", "*kick the air", "*do kicks", "*kick with one leg", "*swing a leg to kick"),
    "kick-front": ("*do karate front kicks", "*kick to the front", "*practise front kicks", "*kick forward"),
    "kick-round": ("*do karate roundhouse kicks", "*practise roundhouse kicks", "*kick in a wide arc"),
    "kick-side": ("*do karate side kicks", "*kick to the side", "*practise side kicks"),
    "kata": ("*perform a karate kata", "*do karate", "*practise karate", "*perform martial arts moves"),
    "block": ("*do karate blocks", "*block with the arms", "*practise blocks in karate", "*step and *block"),
    "lunge": ("*step forward with punches", "*do karate lunge punches", "*punch while stepping forward"),
    "sword": (
        "*swing a sword", "*slash with a sword", "*fight with a sword", "*cut with a sword", "*wield a sword",
        "*strike with a sword", "*practise with a sword",
    ),
    "dance": ("*dance", "*dance around", "*do a dance", "*perform a dance", "*dance to music", "*show a dance"),
    "ballet": (
        "*dance ballet", "*dance", "*perform a ballet dance", "*dance gracefully", "*do a modern dance",
        "*dance like a ballet dancer",
    ),
    "pirouette": ("*dance and *spin in a pirouette", "*perform a pirouette", "*dance with a spin"),
    "indian dance": ("*perform an Indian dance", "*dance an Indian dance", "*do a traditional Indian dance"),
    "salsa": ("*dance salsa", "*salsa", "*dance the salsa", "*do salsa steps", "*dance salsa with a partner", "*dance"),
    "breakdance": (
        "*breakdance", "*do breakdance moves", "*dance breakdance", "*perform a breakdance routine",
        "*dance hip hop with fast footwork",
    ),
    "charleston": ("*dance the charleston", "*do the charleston", "*dance a charleston"),
    "lambada": ("*dance the lambada", "*do the lambada", "*dance a lambada"),
    "jump": ("*jump", "*jump up", "*leap", "*jump into the air", "*make a jump", "*do a jump", "*spring into the air"),
    "jump-forward": (
        "*jump forward", "*leap forward", "*make a jump forward", "*hop forward with both feet", "*jump ahead",
    ),
    "jump-reach": ("*jump up and *reach high", "*reach up on tiptoe", "*jump up to grab something"),
    "exercise": ("*exercise", "*do jumping jacks", "*do gymnastics", "*work out", "*warm up with exercises"),
    "sit": ("*sit down", "*sit", "*sit down on a stool", "*sit down and *stand up", "*sit on a stool", "*get seated"),
    "sit-down": (
        "*sit down", "*sit down on a chair", "*lower to sit on a seat", "*sink down onto a chair",
        "*go from standing to sitting",
    ),
    "stand-up": (
        "*stand up", "*get up from a seat", "*rise from a chair", "*stand up from sitting", "*come up to standing",
    ),
    "seated": ("*sit", "*sit on a chair", "*stay seated", "*remain sitting"),
    "lie-down": ("*lie down", "*lie down on the floor", "*lower to the ground and *lie down", "*go down to lie flat"),
    "get-up": ("*get up from the floor", "*get up off the ground", "*rise from lying down", "*stand up from the floor"),
    "lying": ("*lie", "*lie on the floor", "*lie on the ground", "*stay lying down"),
    "crouch": ("*crouch", "*crouch down", "*go down into a crouch", "*bend the knees and *crouch low"),
    "kneel": ("*kneel", "*kneel down", "*go down on the knees", "*get down on one knee"),
    "crawl": ("*crawl", "*crawl forward", "*crawl on hands and knees", "*move on all fours"),
    "sneak": ("*sneak", "*sneak forward", "*creep along", "*tiptoe forward", "*walk stealthily"),
    "crouch-walk": ("*walk in a crouch", "*walk forward bent low", "*creep forward with bent knees"),
    "spot-turn-left": (
        "*turn left on the spot", "*turn to the left", "*turn the body to the left", "*pivot to the left",
    ),
    "throw": ("*throw something", "*throw an object", "*hurl something ahead"),
    "cheer": ("*cheer", "*celebrate", "*cheer with joy", "*celebrate a victory"),
    "push-up": ("*do push-ups", "*do a push-up", "*do press-ups on the floor"),
    "fall": ("*fall down", "*fall to the ground", "*collapse", "*drop to the floor"),
    "climb": (
        "*climb", "*climb up", "*climb on a frame", "*play on climbing equipment", "*climb around on a playground",
        "*clamber around",
    ),
    "ladder": ("*climb a ladder", "*climb up a ladder", "*go up a ladder", "*climb up the rungs of a ladder"),
    "stairs": ("*climb steps", "*go up the stairs", "*walk up the stairs", "*climb three steps"),
    "basketball": (
        "*play basketball", "*dribble a basketball", "*dribble a ball", "*bounce a ball with one hand",
        "*practise basketball",
    ),
    "basketball_signal": ("*give basketball referee signals", "*signal like a referee", "*make signs with the arms"),
    "direct traffic": (
        "*direct traffic", "*direct traffic with the arms", "*give hand signals to traffic", "*regulate traffic",
    ),
    "soccer": ("*kick a ball", "*kick a soccer ball", "*play soccer", "*play football", "*shoot a ball with the foot"),
    "laugh": ("*laugh", "*laugh out loud", "*burst into laughter", "*shake with laughter", "*laugh hard"),
    "drink": ("*drink", "*drink from a bottle", "*drink soda", "*take a drink", "*drink something with one hand"),
    "wash": ("*wash", "*take a shower", "*wash the body", "*rub the body as if washing"),
    "bend": ("*bend down and *pick something up", "*pick something up from the floor", "*bend over and *lift an arm"),
    "balance": (
        "*balance on one leg", "*stand on one leg", "*balance on one foot with outstretched arms", "*keep balance",
    ),
    "idle": _STAND,
    "gesture": ("*gesture", "*gesture with the hands", "*make gestures with the arms"),
    "move": ("*move", "*move around", "*do something"),
}  # fmt: skip

# What the sources' own template sentences tell beyond the labels.
_TOLD: dict[str, str] = {
    "a person runs and turns left": "run-turn-left", "a person runs up and punches": "run-punch",
    "a person walks on uneven ground": "walk-uneven", "walk on uneven terrain": "walk-uneven",
    "a person walks forward, backward and sideways": "navigate", "a person climbs a ladder": "ladder",
    "a person jumps forward": "jump-forward", "a person boxes": "box", "a person does karate front kicks": "kick-front",
    "a person does karate roundhouse kicks": "kick-round", "a person does karate side kicks": "kick-side",
    "a person steps forward with karate lunge punches": "lunge", "a person dances the charleston": "charleston",
    "a person dances the lambada": "lambada", "a person directs traffic and waves": "direct traffic",
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """How a motion is done: adverbs (after the verb), adjectives (before `person`), and who does it so."""

    adverbs: tuple[str, ...]
    adjectives: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    sexed: bool = False  # whether `a man` and `a woman` would contradict it


STYLES: dict[str, Style] = {
    "active": Style(
        ("energetically", "actively", "with lots of energy", "vigorously", "in a lively way"),
        ("energetic", "lively", "active"),
    ),
    "feminine": Style(
        ("in a feminine way", "like a woman", "femininely", "in a feminine manner"),
        ("feminine",), ("a woman", "a lady", "a girl"), True,
    ),
    "masculine": Style(
        ("in a masculine way", "like a man", "in a manly way", "in a masculine manner"),
        ("masculine", "manly"), ("a man", "a guy"), True,
    ),
    "youthful": Style(
        ("youthfully", "like a young person", "in a youthful way", "with youthful energy"),
        ("youthful", "young"), ("a young person", "a teenager"),
    ),
    "childish": Style(
        ("childishly", "like a child", "like a kid", "in a childlike way"), ("childish",), ("a child", "a kid"), True
    ),
    "exhausted": Style(
        ("tiredly", "wearily", "in exhaustion", "with no energy left", "sluggishly", "as if exhausted"),
        ("exhausted", "tired", "weary", "worn out"),
    ),
    "elderly": Style(
        ("like an old person", "like an elderly person", "frailly", "as if very old"),
        ("elderly", "old", "aged"), ("an old man", "an old woman", "a senior", "an elderly person"), True,
    ),
    "angry": Style(("angrily", "furiously", "in anger", "in an angry way"), ("angry", "furious", "mad")),
    "chimpira": Style(
        ("like a thug", "with swagger", "in a swaggering way"), ("swaggering",), ("a thug", "a gangster", "a hoodlum")
    ),
    "giant": Style(("like a giant", "heavily, like a giant", "in huge movements"), (), ("a giant", "a huge person")),
    "musical": Style(("rhythmically", "to music", "in a musical way", "to a beat"), ("musical",)),
    "not-confident": Style(
        ("timidly", "shyly", "hesitantly", "without confidence", "nervously"), ("timid", "shy", "insecure")
    ),
    "proud": Style(("proudly", "with pride", "with confidence", "in a proud way"), ("proud", "confident")),
    "happy": Style(("happily", "joyfully", "merrily", "full of joy", "in a good mood"), ("happy", "joyful", "glad")),
    "sad": Style(("sadly", "gloomily", "in low spirits", "sorrowfully"), ("sad", "gloomy", "unhappy", "depressed")),
    "slow": Style(("slowly", "at a slow pace", "leisurely")),
    "fast": Style(("quickly", "fast", "at a fast pace", "briskly")),
}  # fmt: skip
_STYLES = {"old": "elderly", "tired": "exhausted", "masculinity": "masculine"}  # other words for them


def sentences(record: Mapping[str, Any], name: str) -> list[str]:
    """At most SENTENCES distinct captions of a clip: its own `texts`, then ones made from its labels.

    The labels are `content`, `actions`, `style`, and `turn` (left or right) and `pace` (slow or fast) of a walk or run.
    """
    own = list(dict.fromkeys(filter(None, map(normalised, record.get("texts", ())))))
    made = list(pool(*kind_of(record), style_of(record)))
    rng = numpy_rng("sentences", name)
    made = [made[index] for index in rng.permutation(len(made))]
    if record.get("pace") in STYLES:
        paced = pool(*kind_of(record), record["pace"])
        made = [paced[index] for index in rng.permutation(len(paced))[:2]] + made
    return list(dict.fromkeys(own + made))[: max(SENTENCES, len(own))]


def style_of(record: Mapping[str, Any]) -> str:
    """The style (a key of STYLES) that a clip's label tells; another word, or none, where no sentences tell it."""
    style: str = record.get("style") or ""
    return _STYLES.get(style, style)


def kind_of(record: Mapping[str, Any]) -> tuple[str, bool]:
    """The kind of motion (a key of PHRASES) that the labels tell, and whether it is the mirror image of that."""
    for text in record.get("texts", ()):
        for flip in (False, True):
            if told := _TOLD.get(mirrored(text) if flip else text):
                return told, flip
    labels = list(record.get("actions", ()))
    exact = [
        record.get("content") or "",
        *(f"{PHRASES_OF.get(label, label)}-turn-{record.get('turn')}" for label in labels),
    ]
    for label in exact:
        for flip in (False, True):
            if (mirrored(label) if flip else label) in PHRASES:
                return (mirrored(label) if flip else label), flip
    known = [kind for label, kind in PHRASES_OF.items() if label in [*exact, *labels]]
    return next(iter(known + [label for label in labels if label in PHRASES]), "move"), False


@functools.cache
def pool(kind: str, flip: bool, style: str = "") -> tuple[str, ...]:
    """At most POOL distinct sentences for a kind of motion (or its mirror image) in a style, always the same."""
    rng = numpy_rng("pool of sentences", kind, style)
    made = {}
    for _ in range(6 * POOL):
        sentence = _sentence(rng, PHRASES[kind], STYLES.get(style))
        made[mirrored(sentence) if flip else sentence] = None
        if len(made) == POOL:
            break
    return tuple(made)


def _sentence(rng: np.random.RandomState, phrases: Sequence[str], style: Style | None) -> str:
    """One sentence about somebody who does one of the phrases, in the style or (sometimes) without a word of it."""

    def one(choices: Sequence[str]) -> str:
        return choices[rng.randint(len(choices))]

    phrase, shape, told, full_stop = one(phrases), rng.uniform(), rng.uniform(), rng.uniform() < 0.1
    subject, manner = performer(rng, style, told >= PLAIN)
    if shape < 0.5:
        made = f"{subject} {conjugated(phrase, 's')} {manner}"
    elif shape < 0.7:
        made = f"{subject} is {conjugated(phrase, 'ing')} {manner}"
    elif shape < 0.85 and (manner or subject in NEUTRAL):
        made = f"{conjugated(phrase, 'ing')} {manner}"
    elif manner or subject in NEUTRAL:
        made = f"{conjugated(phrase, '')} {manner}"
    else:
        made = f"{subject} {conjugated(phrase, 's')}"
    return made.strip() + "." * full_stop


def performer(rng: np.random.RandomState, style: Style | None, told: bool) -> tuple[str, str]:
    """Who does it and how (or ""): one of the two tells the style, if it is to be told."""
    neutral = _UNSEXED if style is not None and style.sexed else NEUTRAL
    plain = neutral[rng.randint(len(neutral))]
    if style is None or not told:
        return plain, ""
    subjects = [*style.subjects, *(f"{_article(word)} {word} person" for word in style.adjectives)]
    if subjects and rng.uniform() < 0.4:
        return subjects[rng.randint(len(subjects))], ""
    return neutral[rng.randint(len(neutral))], style.adverbs[rng.randint(len(style.adverbs))]


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def conjugated(phrase: str, ending: str) -> str:
    """A phrase with its marked verbs in the form of `ending`: `s`, `ing`, or the infinitive."""
    form = {"s": _third_person, "ing": _participle, "": str}[ending]
    return re.sub(r"\*(\w+)", lambda match: form(match[1]), phrase)


def _third_person(verb: str) -> str:
    if re.search(r"(s|sh|ch|x|z|o)$", verb):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if re.search(r"[^aeiou]y$", verb) else f"{verb}s"


_PARTICIPLES = {"lie": "lying", "squat": "squatting", "sidestep": "sidestepping", "begin": "beginning"}


def _participle(verb: str) -> str:
    if verb in _PARTICIPLES:
        return _PARTICIPLES[verb]
    if re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]", verb):
        return f"{verb}{verb[-1]}ing"
    return f"{verb[:-1]}ing" if re.search(r"[^eoy]e$", verb) else f"{verb}ing"


# Names that tell more than their words do, one by one: the first pattern that is found says the label.
_NAMED = (
    (r"\bsit ups?\b|\bjumping jacks\b", "exercise"),
    (r"\bsit(ting)?\b.*\b(down|enter)\b", "sit-down"),
    (r"\bsit(ting)?\b.*\b(stand up|exit)\b", "stand-up"),
    (r"\bsit(ting)?\b.*\b(idle|talking|loop)\b|\bdriving\b", "seated"),
    (r"\b(lie|lying)\b.*\bdown\b", "lie-down"),
    (r"\b(lie|lying)\b.*\b(stand|get) up\b", "get-up"),
    (r"\b(lie|lying|sleeping)\b", "lying"),
    (r"\bcrouch(ing)?\b.*\b(fwd|forward|walk)\b", "crouch-walk"),
    (r"\bcrouch(ing)?\b", "crouch"), (r"\bkneel(ing)?\b", "kneel"), (r"\bcrawl(ing)?\b", "crawl"),
    (r"\bsneak(ing)?\b", "sneak"), (r"\bpush ?ups?\b", "push-up"), (r"\bthrow(ing)?\b", "throw"),
    (r"\b(cheer(ing)?|victory)\b", "cheer"), (r"\b(death|fall(ing)?)\b", "fall"), (r"\bgreeting\b", "bye"),
    (r"\bwalk(ing)? backwards?\b", "walk-back"), (r"\bbow (aim(ing)?|draw|idle|release)\b", "move"),
)  # fmt: skip


def labels_in(name: str) -> list[str]:
    """Kinds of motion that a file name tells: `run_01` -> [`run`], `SitDown` -> [`sit-down`]."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    for pattern, label in _NAMED:
        if re.search(pattern, " ".join(words)):
            return [label]
    return [word for word in words if word in PHRASES or word in PHRASES_OF]
