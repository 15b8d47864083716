"""How well held-out motion goes onto characters: the made-up rigs of the tests, and others of one's own.

Run by hand: `python -m tests.benchmarks.retarget [-h]`. Held-out clips of recorded people are fitted with the free body
and put onto each character. A row a character, over all clips: the angle between limbs (median over clips of their
medians), the clips whose feet slide more than 5 % more than the source's (in the frames and on the feet on which the
source stands, and in those on which the character does), the clips in which the mesh is more than 1 cm in the floor
and how deep at most, how far the length of the path is from the ratio of hip heights, the clips in which a knee or an
elbow bends by more than 150 degrees and more than the source's, and the seconds of the processor that 200 frames take
with reading and writing.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from body.from_joints import bodies_of
from body.options import BodyOptions
from body.retarget import character as characters
from body.retarget.contacts import with_contacts
from body.retarget.figure import make_figure
from body.retarget.transfer import in_rig, transferred
from tests import rigs
from utils.formats import shards
from utils.geometry.body import BodyMotion, joints_of, vertices_of
from utils.geometry.contacts import carrying
from utils.geometry.motion import Motion
from utils.run.errors import run_command
from utils.run.options import option, parse

_SHARDS = {"cmu2": 7, "cmu_actions": 4, "cmu": 2, "reactidle": 1, "bandai": 6}  # clips of each
_BENT = 150.0  # degrees
_LIMBS = ("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")


@dataclass(frozen=True)
class RetargetOptions:
    """What is measured."""

    data: str = option("../shared/data", "folder of the packed shards")
    characters: tuple[str, ...] = option(
        tuple(
            f"../shared/data/more/glb/{name}.glb"
            for name in ("human-base-animations", "human-addon-animations", "rig-human", "Med_General")
        ),
        "files of characters beside the made-up ones",
        many=True,
    )
    frames: int = option(240, "of a clip at most", min=2)


def held_out(data: Path, frames: int) -> list[BodyMotion]:
    """Clips that nothing is trained on, on the free body."""
    clips: list[Motion] = []
    for name, count in _SHARDS.items():
        part = [clip for clip in shards.read(data / f"{name}.npz") if clip.meta["split"] == "test"]
        part = [clip for clip in part if len(clip.positions) > 40]
        clips += part[:: max(1, len(part) // count)][:count]
    clips = [replace(clip, positions=clip.positions[:frames], rotations=None) for clip in clips]
    return bodies_of(clips, BodyOptions(body="free"))


def limbs(motion: BodyMotion) -> np.ndarray:
    """Places [T, 4, 3, 3] of the joints of both legs and arms."""
    at, names = joints_of(motion)[0], motion.body.joints
    return np.stack(
        [
            np.stack([at[:, names.index(f"{side}_{name}")] for name in limb], 1)
            for side in ("left", "right")
            for limb in _LIMBS
        ],
        1,
    )


def bends(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors [T, 4, 2, 3] along the bones of limbs, and the angles [T, 4] between them in degrees."""
    bones = np.diff(points, axis=2)
    bones = bones / np.linalg.norm(bones, axis=-1, keepdims=True)
    return bones, np.degrees(np.arccos(np.clip((bones[:, :, 0] * bones[:, :, 1]).sum(-1), -1, 1)))


def feet(motion: BodyMotion) -> tuple[np.ndarray, np.ndarray]:
    """Places [T, 2, 3] of the toes, or ankles, and metres [T - 1, 2] that the slower joint of each foot goes."""
    at, names = joints_of(motion)[0], motion.body.joints
    both = [
        [names.index(f"{side}_{n}") for n in ("ankle", "foot") if f"{side}_{n}" in names] for side in ("left", "right")
    ]
    steps = np.linalg.norm(np.diff(at[..., [0, 2]], axis=0), axis=-1)
    return at[:, [foot[-1] for foot in both]], np.stack([steps[:, foot].min(1) for foot in both], 1)


def slid(toes: np.ndarray, steps: np.ndarray) -> float:
    """The mean way a frame of the foot that carries."""
    foot, stands = carrying(toes, [0, 1])
    held = stands[:-1] & stands[1:] & (foot[:-1] == foot[1:])
    return float(steps[np.arange(len(steps)), foot[:-1]][held].mean()) if held.any() else 0.0


def figures(source: BodyMotion, made: BodyMotion, size: float) -> tuple[float, ...]:
    """The figures of one clip; see the top of the file."""
    (bones, bent), (ours, ours_bent) = bends(limbs(source)), bends(limbs(made))
    apart = np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(bones - ours, axis=-1) / 2, 0, 1)))
    (toes, steps), (own_toes, own_steps) = feet(source), feet(made)
    before = slid(toes, steps)
    deep = 100 * size * max(0.0, -float(vertices_of(made)[..., 1].min())) if len(made.body.vertices) else 0.0
    same, own = (one > 1.05 * before + 1e-5 for one in (slid(toes, own_steps), slid(own_toes, own_steps)))
    beyond = bool((ours_bent.max(0) > np.maximum(bent.max(0), _BENT)).any())
    return float(np.median(apart)), same, own, deep, beyond


def rows(given: RetargetOptions, folder: Path) -> Iterator[tuple[str, Path]]:
    """The characters by name."""
    for name, style in rigs.STYLES.items():
        rigs.write(folder / f"{name}.glb", style)
        yield name, folder / f"{name}.glb"
    for file in given.characters:
        yield Path(file).stem, Path(file)


def main(argv: list[str]) -> None:
    """Print a row for each character."""
    (given,) = parse("tests.benchmarks.retarget", __doc__ or "", (RetargetOptions,), argv)
    torch.set_num_threads(1)
    clips = held_out(Path(given.data), given.frames)
    print(f"{len(clips)} clips, {sum(len(clip.root) for clip in clips)} frames")
    print("character                limbs  slides more     in floor     path  bends   seconds")
    print("                           deg  same   own     >1 cm   most     %    more   per 200")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, path in rows(given, folder):
            told, paths, seconds = [], [], []
            for clip in clips:
                began = time.process_time()
                character = characters.open_character(path)
                figure = make_figure(character.rig, character.roles, clip.body)
                made = with_contacts(transferred(clip, figure), clip, figure.palms)
                posed = in_rig(made, figure)
                character.file.write(folder / "out.glb", posed, clip.fps, "clip")
                seconds.append((time.process_time() - began) * 200 / len(clip.root))
                told.append(figures(clip, made, figure.size))
                paths.append(_path(clip, posed.places, character, figure.size))
            limb, same, own, deep, beyond = np.array(told, float).T
            print(
                f"{name:24s} {np.median(limb):5.2f} {same.sum():5.0f} {own.sum():5.0f} {(deep > 1).sum():9.0f} "
                f"{deep.max():6.2f} {100 * max(paths):5.2f} {beyond.sum():7.0f} {np.median(seconds):9.2f}"
            )


def _path(clip: BodyMotion, places: np.ndarray, character: characters.Character, size: float) -> float:
    """How far the way of the hips over the floor is from the source's times the size, as a part of it."""
    names, joints = clip.body.joints, character.roles.joints
    source = joints_of(clip)[0][:, [names.index("left_hip"), names.index("right_hip")]].mean(1)[:, [0, 2]]
    ours = places[:, [joints["left_hip"], joints["right_hip"]]].mean(1)[:, [0, 2]]
    far = float(np.linalg.norm(source[-1] - source[0]))
    return abs(float(np.linalg.norm(ours[-1] - ours[0])) / (size * far) - 1) if far > 0.1 else 0.0


if __name__ == "__main__":
    run_command(main)
