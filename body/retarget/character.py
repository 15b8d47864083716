"""A user's character: its file opened, told which of its joints is which, and moved.

Files: .glb, .vrm and .gltf (written as .glb), of which a copy gets the motion as one more animation; .bvh, in whose
hierarchy the motion is written.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from body.motion.cycles import in_place
from body.retarget.bvh_rig import BvhFile, open_bvh
from body.retarget.contacts import with_contacts
from body.retarget.figure import Figure, make_figure
from body.retarget.gltf_rig import GltfFile, open_gltf
from body.retarget.names import CORE, LIMBS, SIDES, STEEP, Roles, Undecided, find_roles, uprightness
from body.retarget.rig import Rig, between
from body.retarget.transfer import RigMotion, in_rig, transferred
from utils.geometry.body import BodyMotion
from utils.run.errors import DataError, UsageError
from utils.run.files import atomic_write, read_json
from utils.run.parser import nearest

_OPEN = {".glb": open_gltf, ".gltf": open_gltf, ".vrm": open_gltf, ".bvh": open_bvh}
ROLES = (*CORE, *(f"{side}_{name}" for side in SIDES for name in ("collar", "foot")))

_LEAST = 0.3  # cosine to the vertical: the least upright pose that is taken


@dataclass(frozen=True)
class Character:
    """A file of somebody's character, which writes and reads motion of it, and its rig, with what its joints are."""

    file: GltfFile | BvhFile
    rig: Rig
    roles: Roles


def open_character(path: str | Path, mapped: str | Path = "") -> Character:
    """The character in a file; `mapped` is a JSON file of joints by their roles (`ROLES`), which alone counts.

    Raises MissingFileError, UsageError for another kind of file and a map that does not fit, Undecided (a DataError)
    where it is not known which joint is which, and DataError.
    """
    path = Path(path)
    if path.suffix.lower() not in _OPEN:
        raise UsageError(f"--character {path}: a character is a {', '.join(_OPEN)} file")
    file, rigs = _OPEN[path.suffix.lower()](path)
    told = read_map(mapped, rigs[0]) if mapped else None
    found, undecided = [], None
    for rig in rigs:
        try:
            roles = find_roles(rig, told)
        except Undecided as error:
            undecided = undecided or Undecided(f"{mapped}: {error}" if mapped else str(error), rig, error.found)
            continue
        found.append((uprightness(rig, roles), Character(file, rig, roles)))
        if found[-1][0] > STEEP:
            break
    if not found and undecided:
        raise undecided
    upright, character = max(found, key=lambda item: item[0])
    if upright < _LEAST:
        raise DataError(f"{path} does not stand upright in its rest pose: apply one in which it does, a T or an A")
    return character


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


def moved(motion: BodyMotion, character: Character, still: bool = False) -> tuple[RigMotion, Figure]:
    """A motion of a person in the joints of a character, and its figure; `still`: without its path.

    Raises DataError for other motion.
    """
    figure = make_figure(character.rig, character.roles, motion.body)
    made = with_contacts(transferred(motion, figure), motion, figure.palms)
    return in_rig(in_place(made) if still else made, figure), figure


def left_alone(character: Character) -> list[str]:
    """The names of the bones that no motion moves of themselves: they keep their place on what they hang on."""
    rig, roles = character.rig, character.roles
    known, joints = set(roles.known), roles.joints
    for side in SIDES:
        for limb in LIMBS:
            for upper, lower in zip(limb[:-1], limb[1:], strict=True):
                known.update(between(rig.parents, joints[f"{side}_{upper}"], joints[f"{side}_{lower}"]))
    return [rig.joints[joint] for joint in range(len(rig.joints)) if rig.bones[joint] and joint not in known]
