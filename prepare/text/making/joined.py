"""Motions of different kinds in a row: which follow which, how they are cut, and what is said of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_loaders.text.captions import NEUTRAL, PHRASES, conjugated, kind_of
from data_loaders.texts import mirrored
from prepare.text.folder import Clip
from prepare.text.making.joining import Piece, assembled, best_link
from prepare.text.making.material import Material
from prepare.text.making.records import LONGEST, SENTENCES, TRIES, one_of, part_of, record_of, slides
from utils.run.randomness import numpy_rng

# What is joined: families of kinds of motion (keys of PHRASES, sides left out), and how often each is drawn.
FAMILIES: dict[str, tuple[float, tuple[str, ...]]] = {
    "walk": (2, ("walk", "walk-uneven")), "turn": (1.5, ("walk-turn-left",)), "run": (1.5, ("run", "run-turn-left")),
    "dash": (0.7, ("dash",)), "back": (1.2, ("walk-back",)), "side": (1.2, ("walk-left",)), "idle": (1.5, ("idle",)),
    "raise one": (1.2, ("raise-up-left-hand", "respond")), "raise both": (1.2, ("raise-up-both-hands",)),
    "wave": (1.2, ("wave-left-hand", "bye")), "wave both": (0.8, ("wave-both-hands", "byebye")), "bow": (1, ("bow",)),
    "call": (0.5, ("call", "guide")), "punch": (1.2, ("punch", "box", "run-punch", "lunge", "block", "kata")),
    "kick": (1.5, ("kick", "kick-front", "kick-round", "kick-side", "soccer")),
    "jump": (1.5, ("jump", "jump-forward", "jump-reach")), "sit": (1.5, ("sit",)), "exercise": (0.3, ("exercise",)),
    "dance": (0.5, ("dance", "ballet", "pirouette", "indian dance", "salsa", "charleston", "lambada")),
    "other": (0.7, ("sword", "basketball", "direct traffic", "laugh", "drink", "wash", "bend", "balance")),
}  # fmt: skip
_FAMILY_OF = {kind: family for family, (_, kinds) in FAMILIES.items() for kind in kinds}
_MOVING = {"walk", "turn", "run", "dash", "back", "side"}
_ANYWHERE = {"walk", "run", "dash", "back", "side", "idle"}  # families whose clips may be cut anywhere
_RUNS = {"run", "dash"}
_LONG = 8.0  # seconds: a longer recording is cut anywhere
_PIECE = (1.6, 3.6)  # seconds of a piece that is cut
_WHOLE = 4.5  # seconds: what is no longer than this is joined whole
_SLOWING = (0.8, 1.3)  # seconds of walking between a run and standing
_EVERY = 2  # frames: of moments where a clip may be cut anywhere, so many are looked at
_PLAY = 0.5  # seconds at the ends of a whole clip that may be cut off
_TRIED = 12  # clips of the second kind among which the one that follows best is taken
_ENOUGH = 1.25  # score of a link up to which it is taken
_THREE = 0.3  # share of joined clips that get a third part
_SHORTEST = 3.0  # seconds of a joined clip


def joined_clips(materials: Sequence[Material], count: int, seed: int) -> list[Clip]:
    """At most `count` clips in which motions of different families follow one another."""
    pool: dict[str, list[Material]] = {}
    for material in materials:
        family = _FAMILY_OF.get(kind_of(material.clip.record)[0])
        if family and material.frames > material.fps:
            pool.setdefault(family, []).append(material)
    if len(pool) < 2:
        return []
    made = (_joined(pool, numpy_rng("joined", seed, number)) for number in range(count))
    return [clip for clip in made if clip is not None]


def _joined(pool: dict[str, list[Material]], rng: np.random.RandomState) -> Clip | None:
    for _ in range(TRIES):
        families = _drawn(pool, rng)
        pieces = _chained(pool, families, rng)
        if pieces is None:
            continue
        points, _, spans = assembled(pieces)
        fps = pieces[0].material.fps
        fits = _SHORTEST * fps <= len(points) <= LONGEST * fps
        if fits and not slides(points, [piece.material for piece in pieces]):
            return _joined_clip(points, pieces, spans)
    return None


def _drawn(pool: dict[str, list[Material]], rng: np.random.RandomState) -> list[str]:
    """Two or three families in a row, no two alike next to each other; a run slows down before what is none."""
    names = list(pool)
    weights = np.array([FAMILIES[name][0] for name in names])
    families: list[str] = []
    while len(families) < 2 + (rng.uniform() < _THREE):
        name = names[rng.choice(len(names), p=weights / weights.sum())]
        if not families or name != families[-1]:
            families.append(name)
    found = families[:1]
    for name in families[1:]:
        if found[-1] in _RUNS and name not in _MOVING and "walk" in pool:
            found.append("slowing")
        found.append(name)
    return found


def _chained(pool: dict[str, list[Material]], families: list[str], rng: np.random.RandomState) -> list[Piece] | None:
    """Pieces of these families in a row, each the best that was found to follow the one before; None without any."""
    material = one_of(rng, pool[families[0]])
    cut = _Cut.of(material, families[0], rng)
    first = cut.first_frame(rng)
    pieces: list[Piece] = []
    step = None
    for family in families[1:]:
        links = []
        for other in (one_of(rng, pool[family.replace("slowing", "walk")]) for _ in range(_TRIED)):
            following = _Cut.of(other, family, rng)
            if link := best_link(material, cut.ends(first), other, following.starts()):
                links.append((link, other, following))
        if not links:
            return None
        link, other, following = min(links, key=lambda entry: entry[0].score)
        if link.score > _ENOUGH or link.end - first < 3:
            return None
        pieces.append(Piece(material, first, link.end, step))
        material, cut, first, step = other, following, link.start, link.step
    pieces.append(Piece(material, first, int(cut.ends(first)[-1]), step))
    return pieces


@dataclass(frozen=True)
class _Cut:
    """Where a material may be cut: anywhere, into pieces of `shortest` to `longest` frames, or near its ends only."""

    frames: int
    anywhere: bool
    shortest: int
    longest: int
    play: int

    @staticmethod
    def of(material: Material, family: str, rng: np.random.RandomState) -> "_Cut":
        fps, frames = material.fps, material.frames
        anywhere = family in _ANYWHERE or family == "slowing" or frames > _LONG * fps
        least, most = _SLOWING if family == "slowing" else (_PIECE[0], rng.uniform(*_PIECE))
        least = min(least, frames / fps / 2)
        return _Cut(frames, anywhere, round(least * fps), max(round(most * fps), round(_WHOLE * fps) * (not anywhere)),
                    round(_PLAY * fps))  # fmt: skip

    def first_frame(self, rng: np.random.RandomState) -> int:
        """Where a piece begins that nothing is before."""
        if not self.anywhere:
            return max(0, self.frames - self.longest)
        return int(rng.randint(max(1, self.frames - self.longest)))

    def starts(self) -> np.ndarray:
        """Where a piece may begin that follows another."""
        if self.anywhere:
            return np.arange(0, max(1, self.frames - self.shortest), _EVERY)
        return np.arange(min(self.play, self.frames))

    def ends(self, first: int) -> np.ndarray:
        """Where a piece that begins there may end (the frame after its last)."""
        last = min(self.frames, first + self.longest)
        if self.anywhere:
            return np.arange(min(first + self.shortest, last), last + 1, _EVERY)
        return np.arange(min(max(first + self.shortest, last - self.play), last), last + 1)


def _joined_clip(points: np.ndarray, pieces: Sequence[Piece], spans: Sequence[tuple[int, int]]) -> Clip:
    materials, fps = [piece.material for piece in pieces], pieces[0].material.fps
    record = record_of("joined", materials, "+".join(f"{m.clip.record['name']}" for m in materials))
    record["parts"] = [
        part_of(piece.material, first / fps, end / fps, piece.frames >= 0.8 * piece.material.frames)
        for piece, (first, end) in zip(pieces, spans, strict=True)
    ]
    record["texts"] = _in_order(record["parts"], record["name"])
    return Clip(points, record)


def _in_order(parts: Sequence[dict], name: str) -> list[str]:
    """Sentences that tell the parts one after the other."""
    rng, found = numpy_rng("joined sentences", name), {}
    for _ in range(3 * SENTENCES):
        phrases = []
        for part in parts:
            kind, flip = kind_of(part)
            phrase = conjugated(one_of(rng, PHRASES[kind]), "s")
            phrases.append(mirrored(phrase) if flip else phrase)
        link = one_of(rng, (", then ", " and then ", ", and then ", " before he ", ", after that he ", ". then he "))
        link = link if len(parts) == 2 else ", then "
        found[f"{one_of(rng, NEUTRAL)} {link.join(phrases)}".replace("before he", "and afterwards")
              .replace("after that he", "after that").replace(". then he", " and next")] = None  # fmt: skip
    return list(found)[:SENTENCES]
