"""Acclaim skeletons (.asf) and motion (.amc), as CMU and HDM05 publish them.

A joint stands at the start of the bone that gives it its name; the far end of a last bone `lfingers` is `lfingers_end`.
With C the bone's `axis` and M the turns of its degrees of freedom, both about fixed axes in the order listed, the local
rotation is C M C^-1 (first listed is applied first: x y z means Z Y X as matrices).
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from utils.formats.lines import Refused, numbers
from utils.geometry.kinematics import forward
from utils.geometry.motion import Motion
from utils.geometry.rotations import EULER_ORDERS, euler_to_matrix
from utils.run.errors import DataError
from utils.run.files import read_text

_INCH = 0.0254


@dataclass
class _Bone:
    parent: str = ""
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))  # from the bone's start to its end, file units
    axis: Tensor = field(default_factory=lambda: torch.eye(3, dtype=torch.float64))  # C
    dof: tuple[str, ...] = ()


def read(asf: str | Path, amc: str | Path, fps: float = 120.0, metres_per_unit: float | None = None) -> Motion:
    """The clip `amc` on the skeleton `asf`: positions in metres, local rotations; the files do not say their `fps`.

    `metres_per_unit` is 0.0254 / `length` of the skeleton's units when None (VICON counts in inches times 0.45).
    Raises MissingFileError or DataError.
    """
    try:
        bones, units = _read_skeleton(_lines(asf))
    except Refused as refused:
        raise DataError(f"{asf}, {refused}") from refused
    try:
        values, radians = _read_frames(_lines(amc), {name: bone.dof for name, bone in bones.items() if bone.dof}, units)
    except Refused as refused:
        raise DataError(f"{amc}, {refused}") from refused
    joints, parents, offsets = _joints(bones)
    scale = _INCH / float(units["length"]) if metres_per_unit is None else metres_per_unit
    rotations = torch.eye(3, dtype=torch.float64).repeat(len(values["root"]), len(joints), 1, 1)
    for name, rows in values.items():
        bone = bones[name]
        turns = [k for k, dof in enumerate(bone.dof) if dof[0] == "r"]
        angles = torch.from_numpy(rows[:, turns] if radians else np.radians(rows[:, turns]))
        turned = _fixed_axes(angles, "".join(bone.dof[k][1].upper() for k in turns))
        rotations[:, joints.index(name)] = bone.axis @ turned @ bone.axis.T
    root = bones["root"].offset + np.stack(
        [values["root"][:, bones["root"].dof.index("t" + axis)] for axis in "xyz"], -1
    )
    positions, _ = forward(rotations, torch.from_numpy(offsets * scale), parents, torch.from_numpy(root * scale))
    positions = positions.float()
    if not positions.isfinite().all():
        raise DataError(f"{amc} holds numbers too large for a position")
    return Motion(positions.numpy(), fps, joints, parents, rotations.float().numpy(), Path(amc).stem)


def _lines(path: str | Path) -> list[tuple[int, list[str]]]:
    """Number and words of each line that is neither empty nor a comment."""
    text = read_text(path, otherwise="latin-1")
    rows = ((number, line.split()) for number, line in enumerate(text.split("\n"), 1) if not line.startswith("#"))
    return [(number, words) for number, words in rows if words]


def _read_skeleton(lines: list[tuple[int, list[str]]]) -> tuple[dict[str, _Bone], dict[str, str]]:
    """Bones by name with the root first, and the units (`length`, `angle`)."""
    sections: dict[str, list[tuple[int, list[str]]]] = {}
    rows: list[tuple[int, list[str]]] = []
    for number, words in lines:
        if words[0].startswith(":"):
            rows = sections[words[0][1:].lower()] = []
        elif not sections:
            raise Refused(number, "a section such as ':units' was expected")
        else:
            rows.append((number, words))
    last = lines[-1][0] if lines else 1
    missing = [name for name in ("units", "root", "bonedata", "hierarchy") if not sections.get(name)]
    if missing:
        raise Refused(last, f"the skeleton has no section ':{missing[0]}'")
    units = {"length": "1", "angle": "deg"} | {words[0].lower(): words[-1] for _, words in sections["units"]}
    if numbers([units["length"]], 1, sections["units"][0][0])[0] <= 1e-6:
        raise Refused(sections["units"][0][0], f"a length of {units['length']} is no unit")
    radians = units["angle"].lower().startswith("rad")
    bones = {"root": _read_root(sections["root"], radians)}
    for rows in _blocks(sections["bonedata"]):
        name, bone = _read_bone(rows, radians)
        if name in bones:
            raise Refused(rows[0][0], f"a second bone is called {name}")
        bones[name] = bone
    _read_hierarchy(sections["hierarchy"], bones)
    return bones, units


def _read_root(rows: list[tuple[int, list[str]]], radians: bool) -> _Bone:
    fields = {words[0].lower(): (number, words[1:]) for number, words in rows}
    bone = _Bone()
    for name in ("order", "axis"):
        if name not in fields:
            raise Refused(rows[0][0], f"the root has no '{name}'")
    number, words = fields["order"]
    bone.dof = _degrees_of_freedom(words, number)
    if not {"tx", "ty", "tz"} <= set(bone.dof):
        raise Refused(number, "the root must have TX, TY and TZ")
    if "position" in fields:
        bone.offset = np.array(numbers(fields["position"][1], 3, fields["position"][0]))
    if "orientation" in fields:
        number, words = fields["orientation"]
        bone.axis = _axis(words, fields["axis"][1], number, radians)
    return bone


def _blocks(rows: list[tuple[int, list[str]]]) -> list[list[tuple[int, list[str]]]]:
    """The rows between each `begin` and `end`."""
    blocks: list[list[tuple[int, list[str]]]] = []
    is_open = False
    for number, words in rows:
        keyword = words[0].lower()
        if (keyword == "begin") == is_open and keyword in ("begin", "end") or not is_open and keyword != "begin":
            raise Refused(number, f"{words[0][:40]!r} was not expected here")
        if keyword == "begin":
            blocks.append([(number, ["begin"])])
        elif keyword != "end":
            blocks[-1].append((number, words))
        is_open = keyword != "end"
    if is_open:
        raise Refused(rows[-1][0], "'end' is missing")
    return blocks


def _read_bone(rows: list[tuple[int, list[str]]], radians: bool) -> tuple[str, _Bone]:
    fields = {words[0].lower(): (number, words[1:]) for number, words in rows}
    for name in ("name", "direction", "length", "axis"):
        if name not in fields:
            raise Refused(rows[0][0], f"this bone has no '{name}'")
    name = " ".join(fields["name"][1])
    direction = np.array(numbers(fields["direction"][1], 3, fields["direction"][0]))
    length = numbers(fields["length"][1], 1, fields["length"][0])[0]
    number, words = fields["axis"]
    dof = _degrees_of_freedom(fields["dof"][1], fields["dof"][0]) if "dof" in fields else ()
    if any(freedom[0] == "t" for freedom in dof):
        raise Refused(fields["dof"][0], f"{name} has a degree of freedom that only the root may have")
    return name, _Bone(offset=direction * length, axis=_axis(words[:3], words[3:], number, radians), dof=dof)


def _read_hierarchy(rows: list[tuple[int, list[str]]], bones: dict[str, _Bone]) -> None:
    """Enter the parents; each bone must have one that leads to the root."""
    lines = [row for block in _blocks(rows) for row in block[1:]]
    for number, words in lines:
        for name in words:
            if name not in bones:
                raise Refused(number, f"there is no bone {name[:40]!r}")
        for name in words[1:]:
            if bones[name].parent or name == "root":
                raise Refused(number, f"{name} has two parents")
            bones[name].parent = words[0]
    reached, frontier = {"root"}, ["root"]
    for above in frontier:
        below = [name for name, bone in bones.items() if bone.parent == above and name not in reached]
        reached.update(below)
        frontier.extend(below)
    if len(reached) < len(bones):
        lost = next(name for name in bones if name not in reached)
        raise Refused(rows[0][0], f"the hierarchy does not lead from the root to {lost}")


def _read_frames(
    lines: list[tuple[int, list[str]]], freedoms: dict[str, tuple[str, ...]], units: dict[str, str]
) -> tuple[dict[str, np.ndarray], bool]:
    """Numbers [T, degrees of freedom] by bone, and whether the angles are radians."""
    radians = units["angle"].lower().startswith("rad")
    values: dict[str, list[list[float]]] = {name: [] for name in freedoms}
    frames, first = 0, None
    for number, words in lines:
        if words[0].startswith(":"):
            radians = {":degrees": False, ":radians": True}.get(words[0].lower(), radians)
        elif len(words) == 1 and words[0].isdecimal() and len(words[0]) < 10:
            _check_frame(values, frames, number)
            first = int(words[0]) if first is None else first
            if int(words[0]) != first + frames:
                raise Refused(number, f"frame {first + frames} was expected and {words[0]} is there")
            frames += 1
        elif words[0] not in values or len(values[words[0]]) != frames - 1:
            raise Refused(number, f"{words[0][:40]!r} is no bone that moves, or comes twice in its frame")
        else:
            values[words[0]].append(numbers(words[1:], len(freedoms[words[0]]), number))
    last = lines[-1][0] if lines else 1
    _check_frame(values, frames, last)
    if not frames:
        raise Refused(last, "the file holds 0 frames")
    return {name: np.array(rows) for name, rows in values.items()}, radians


def _check_frame(values: dict[str, list[list[float]]], frames: int, number: int) -> None:
    for name, rows in values.items():
        if len(rows) < frames:
            raise Refused(number, f"the frame before has no line for {name}")


def _joints(bones: dict[str, _Bone]) -> tuple[tuple[str, ...], tuple[int, ...], np.ndarray]:
    """Names, parents and offsets [J, 3] (file units) of the starts of the bones and of the ends of the last ones."""
    names = list(bones)
    parents = [names.index(bone.parent) if bone.parent else -1 for bone in bones.values()]
    offsets = [bones[bone.parent].offset if bone.parent not in ("", "root") else np.zeros(3) for bone in bones.values()]
    inner = {bone.parent for bone in bones.values()}
    for name in [name for name in bones if name not in inner and name != "root"]:
        parents.append(names.index(name))
        offsets.append(bones[name].offset)
        names.append(name + "_end")
    return tuple(names), tuple(parents), np.array(offsets)


def _degrees_of_freedom(words: list[str], number: int) -> tuple[str, ...]:
    freedoms = tuple(word.lower() for word in words)
    unknown = [word for word in freedoms if len(word) != 2 or word[0] not in "rt" or word[1] not in "xyz"]
    if unknown or len(set(freedoms)) < len(freedoms) or not freedoms:
        raise Refused(
            number, f"{' '.join(words)[:60]!r} are no degrees of freedom (allowed: rx ry rz, for the root tx ty tz)"
        )
    return freedoms


def _axis(words: list[str], order: list[str], number: int, radians: bool) -> Tensor:
    """C [3, 3] of three angles and an order such as XYZ."""
    if len(order) != 1 or sorted(order[0].upper()) != ["X", "Y", "Z"]:
        raise Refused(number, f"{' '.join(order)[:40]!r} is no order of axes such as XYZ")
    angles = torch.tensor(numbers(words, 3, number), dtype=torch.float64)
    return _fixed_axes(angles if radians else angles.deg2rad(), order[0].upper())


def _fixed_axes(angles: Tensor, order: str) -> Tensor:
    """Matrices [..., 3, 3] of turns about fixed axes, the first listed applied first; at most three."""
    full = next(full for full in EULER_ORDERS if full.startswith(order) and len(set(full)) == 3)
    padded = torch.cat([angles, angles.new_zeros(*angles.shape[:-1], 3 - len(order))], -1)
    return euler_to_matrix(padded.flip(-1), full[::-1])
