"""From the clips of a file to bodies that move: joints by name, the fit, a path, the floor.

People are fitted with SMPL or the free body (`body.fit.fitting`); animals, and whoever is asked for so, become
capsules along the bones (`body.capsules`), posed by `body.motion.rotations_from_positions`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import nn

from body.capsules import capsule_body
from body.fit import fitting as fit_body
from body.fit import smplify
from body.models import BodyModel, load_body
from body.motion.foot_lock import lock_feet
from body.motion.legs import legs_of
from body.motion.root_path import anchored
from body.motion.rotations_from_positions import pose_skeleton
from body.options import BodyOptions
from model.poses.reading import load_pose_ndf
from utils.formats.reading import read_motion
from utils.geometry.body import BodyMotion, outline, vertices_of
from utils.geometry.contacts import LOWEST, feet_contacts
from utils.geometry.gaps import fill_gaps
from utils.geometry.joint_maps import JOINT_SETS, Fittable, to_smpl
from utils.geometry.kinematics import main_root
from utils.geometry.motion import Motion
from utils.geometry.spans import spans
from utils.run.errors import DataError, UsageError

_GONE = 0.002  # metres from x = z = 0
Say = Callable[[str], None]


def read_clips(options: BodyOptions) -> list[Motion]:
    """The clips that are asked for, in the order of `--samples`. Raises UsageError and what reading raises."""
    if not options.input_path:
        raise UsageError("name the motion: a results.npy, or a .npy, .npz, .bvh, .glb, .amc or other motion file")
    clips = read_motion(options.input_path, options, raw=True)
    return [clips[number] for number in chosen(options.samples, len(clips), options.input_path)]


def chosen(samples: Sequence[str], count: int, path: str | Path) -> list[int]:
    """The numbers that `--samples` names; all where it names none. Raises UsageError."""
    for word in samples:
        if not word.isdigit() or int(word) >= count:
            raise UsageError(f"--samples {word}: {path} holds {count} motions, number 0 to {count - 1}")
    return [int(word) for word in samples] or list(range(count))


def make_bodies(options: BodyOptions, say: Say = lambda note: None) -> list[BodyMotion]:
    """The motions of a file on bodies; `say` is told what was concluded, filled in or changed, a sentence each.

    Raises UsageError, MissingFileError, DataError and NumericError.
    """
    return bodies_of(read_clips(options), options, say)


def bodies_of(clips: Sequence[Motion], options: BodyOptions, say: Say = lambda note: None) -> list[BodyMotion]:
    """Clips on bodies, as `make_bodies` does with those of a file; it raises the same errors."""
    model, network = None if options.body == "capsules" else load_body(options.body), learned_prior(options)
    made = []
    for clip in clips:
        motion, notes = make_body(clip, options, model, network)
        for note in notes:
            say(f"{motion.name}: {note}")
        made.append(motion)
    return made


def learned_prior(options: BodyOptions) -> nn.Module | None:
    """The network of `--pose_prior ndf`; None where it is not asked for.

    Raises UsageError, MissingFileError and DataError.
    """
    if options.pose_prior != "ndf":
        return None
    if options.fit == "smplify" or options.body == "capsules":
        other = "--fit smplify" if options.fit == "smplify" else "--body capsules"
        raise UsageError(f"--pose_prior ndf is a part of our own fit of a body, not of {other}")
    return load_pose_ndf(options.prior_path, flag="--prior_path")


def make_body(
    clip: Motion, options: BodyOptions, model: BodyModel | None, network: nn.Module | None = None
) -> tuple[BodyMotion, list[str]]:
    """One clip on a body, standing on the floor y = 0, and what there is to say of it; without a model, on capsules.

    `network` is the `learned_prior` of the options.
    """
    notes = [clip.note] if clip.note else []
    if options.skeleton_type and JOINT_SETS[options.skeleton_type] != clip.joints:
        notes.append(f"the file names its joints, which hold: --skeleton_type {options.skeleton_type} is for others")
    person = None
    if clip.meta.get("flat") and not options.body:
        notes.append("2D motion has no depth to fit a body to: capsules along its bones")
    elif model is not None:
        try:
            person = to_smpl(clip)
        except DataError:
            if options.body:
                raise
            notes.append("no person that SMPL fits: capsules along its bones")
    if model is None or person is None:
        motion, said = on_capsules(clip, options)
    else:
        motion, said = on_person(person, options, model, network)
    motion = replace(motion, name=clip.name, text=_text(clip))
    if options.foot_lock:
        motion = lock_feet(motion)
        before, after = (motion.meta["foot_lock"][when] for when in ("before", "after"))
        said.append(
            f"feet slid {100 * before['slide']:.1f} cm/s and now {100 * after['slide']:.1f}; soles were "
            f"{before['penetration']:.1f} mm in the floor and now {after['penetration']:.1f}"
        )
    return motion, notes + said


def on_person(
    person: Fittable, options: BodyOptions, model: BodyModel, network: nn.Module | None = None
) -> tuple[BodyMotion, list[str]]:
    """A person fitted with a body."""
    clip, said = placed(person.motion, options.root)
    person = replace(person, motion=clip)
    contacts = contacts_of(clip, person.confidence)
    if options.fit == "smplify":
        motion = replace(
            smplify.fit(person, model, options.num_smplify_iters), contacts=fit_body.on_all_joints(contacts)
        )
        said.append(motion.meta["note"])
    else:
        motion = fit_body.fit(person, model, contacts, network=network)
    report = motion.meta["report"]
    said.append(f"joints met to {report['mean_error_mm']:.1f} mm in the mean, {report['max_error_mm']:.1f} at most")
    return grounded(motion), ([person.note] if person.note else []) + said


def on_capsules(clip: Motion, options: BodyOptions) -> tuple[BodyMotion, list[str]]:
    """Any skeleton as capsules along its bones."""
    clip, filled = fill_gaps(clip)
    clip, said = placed(clip, options.root)
    posed = pose_skeleton(clip)
    body = capsule_body(posed.joints, posed.parents, posed.rest, clip.meta.get("skeleton") or "capsules")
    report = {"mean_error_mm": 1000 * float(posed.error.mean()), "max_error_mm": 1000 * float(posed.error.max())}
    said = [note for note in (filled, *said, posed.note) if note]
    motion = BodyMotion(body, posed.rotations, posed.root, clip.fps, clip.name, meta={"report": report})
    return grounded(motion), said


def placed(clip: Motion, root: str) -> tuple[Motion, list[str]]:
    """The clip with the path that `--root` asks for, and a sentence about one that it did not have."""
    if root == "centred":
        way = clip.positions[:, main_root(clip.parents)] * (1, 0, 1)
        return replace(clip, positions=(clip.positions - way[:, None]).astype(np.float32)), []
    if root == "anchored" or (not root and _is_centred(clip)):
        return anchored(clip), ["centred on its root, so it got the path of the feet that stand (--root centred: none)"]
    return clip, []


def contacts_of(clip: Motion, confidence: np.ndarray) -> np.ndarray:
    """Which joints rest on the floor, bool [T, J]; toes only where they were seen."""
    seen = np.asarray(confidence.any(0))
    feet = [tuple(joint for joint in leg.foot if seen[joint]) for leg in legs_of(clip.joints, clip.parents)]
    return feet_contacts(clip.positions, clip.fps, [foot for foot in feet if foot])


def grounded(motion: BodyMotion) -> BodyMotion:
    """The motion with its floor at y = 0: where its lowest vertex comes to, but for a few frames.

    Joints of the feet lie above their soles, so a floor that is right for joints is too high for a mesh.
    """
    depth = lowest(motion)
    lift = np.array((0, -np.percentile(depth, LOWEST), 0), np.float32)
    targets = {"targets": motion.meta["targets"] + lift} if "targets" in motion.meta else {}
    return replace(motion, root=motion.root + lift, meta=motion.meta | targets)


def lowest(motion: BodyMotion) -> np.ndarray:
    """Height [T] of the lowest vertex of each frame."""
    few = replace(motion, body=outline(motion.body))
    parts = (replace(few, rotations=few.rotations[span], root=few.root[span]) for span in spans(len(few.root)))
    return np.concatenate([vertices_of(part)[..., 1].min(-1) for part in parts])


def _is_centred(clip: Motion) -> bool:
    """Whether the root of a clip with known feet never leaves x = z = 0: its path was taken away.

    Who stands still elsewhere does stand there.
    """
    way = clip.positions[:, main_root(clip.parents)][:, [0, 2]]
    gone = len(way) > 1 and bool(np.abs(way).max() < _GONE)
    return gone and bool(legs_of(clip.joints, clip.parents))


def _text(clip: Motion) -> str:
    return " / ".join(dict.fromkeys(clip.texts))
