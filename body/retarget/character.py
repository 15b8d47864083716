"""A user's character: opened, told which of its joints is which, moved, and written into a copy of its file.

Files: .glb, .vrm and .gltf (written as .glb), in which the motion becomes one more animation.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from body.retarget.figure import Figure, make_figure
from body.retarget.gltf_rig import GltfRig, add_animation, joint_places, rigs_of
from body.retarget.names import CORE, LIMBS, SIDES, Roles, find_roles, is_upright
from body.retarget.rig import Rig, between
from body.retarget.transfer import RigMotion, in_rig, transferred
from utils.formats.glb_container import Broken
from utils.formats.gltf_document import read_document, write_document
from utils.geometry.body import BodyMotion
from utils.run.errors import DataError, UsageError
from utils.run.files import atomic_write, read_json
from utils.run.parser import nearest

ENDINGS = {".glb": ".glb", ".gltf": ".glb", ".vrm": ".vrm"}
ROLES = (*CORE, *(f"{side}_{name}" for side in SIDES for name in ("collar", "foot")))


@dataclass(frozen=True)
class Character:
    """The file of a character, its rig with what its joints are, and how the file that is made of it ends."""

    path: Path
    found: GltfRig
    roles: Roles
    ending: str

    @property
    def rig(self) -> Rig:
        """The rig, in the pose that limbs are measured in."""
        return self.found.rig


def open_character(path: str | Path, mapped: str | Path = "") -> Character:
    """The character in a file; `mapped` is a JSON file of joints by their roles (`ROLES`): with one nothing else counts.

    Raises MissingFileError, UsageError for another kind of file and a map that does not fit, Undecided (a DataError)
    where it is not known which joint is which, and DataError.
    """
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"--character {path}: a character is a {', '.join(ENDINGS)} file")
    found = rigs_of(read_document(path), path.name)
    told = read_map(mapped, found[0].rig) if mapped else None
    for one in found:
        roles = find_roles(one.rig, told)
        if is_upright(one.rig, roles):
            return Character(path, one, roles, ENDINGS[path.suffix.lower()])
    raise DataError(f"{path} does not stand upright in its rest pose: apply one in which it does, a T or an A")


def read_map(path: str | Path, rig: Rig) -> dict[str, int]:
    """The joints that a map names, by role; null says nothing. Raises MissingFileError, UsageError or DataError."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no joints by their roles")
    found = {}
    for role, name in content.items():
        if role not in ROLES:
            raise UsageError(f"{path}: there is no role {role!r}{nearest(role, ROLES)}")
        if name is None:
            continue
        if name not in rig.joints:
            raise UsageError(f"{path}: {rig.name} has no joint {name!r}{nearest(str(name), rig.joints)}")
        found[role] = rig.joints.index(name)
    return found


def write_map(path: str | Path, rig: Rig, found: Mapping[str, int]) -> None:
    """Write a map as a draft: what is known, null for the rest, and the names that there are."""
    draft = {role: rig.joints[found[role]] if role in found else None for role in ROLES}
    with atomic_write(path) as handle:
        handle.write(json.dumps(draft, indent=2, ensure_ascii=False).encode() + b"\n")


def moved(motion: BodyMotion, character: Character) -> tuple[RigMotion, Figure]:
    """A motion of a person in the joints of a character, and its figure. Raises DataError for other motion."""
    figure = make_figure(character.rig, character.roles, motion.body)
    return in_rig(transferred(motion, figure), figure), figure


def write(path: str | Path, character: Character, motion: RigMotion, fps: float, name: str) -> None:
    """Write a copy of the character's file that has the motion as one more animation, atomically."""
    document = read_document(character.path)
    taken = {clip.name for clip in document.clips}
    name = next(title for title in (name, *(f"{name} {number}" for number in range(2, 10**6))) if title not in taken)
    add_animation(document, character.found, motion, fps, name)
    write_document(path, document)


def read(path: str | Path, character: Character) -> np.ndarray:
    """Where the rig's joints are [T, K, 3] in the last animation of a file that was written. Raises DataError."""
    document = read_document(path)
    try:
        return joint_places(document, character.found.nodes, len(document.clips) - 1)
    except Broken as error:
        raise DataError(f"{path} does not read back: {error}") from error


def left_alone(character: Character) -> list[str]:
    """The names of the bones that no motion moves of themselves: they keep their place on what they hang on."""
    rig, roles = character.rig, character.roles
    known, joints = set(roles.known), roles.joints
    for side in SIDES:
        for limb in LIMBS:
            for upper, lower in zip(limb[:-1], limb[1:], strict=True):
                known.update(between(rig.parents, joints[f"{side}_{upper}"], joints[f"{side}_{lower}"]))
    return [rig.joints[joint] for joint in range(len(rig.joints)) if rig.bones[joint] and joint not in known]
