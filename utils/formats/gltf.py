"""Motion out of a glTF file of anyone's (.glb, .vrm, .gltf): one record for each animation and each figure it moves.

Positions are those of the joints in the world, scales of ancestors included. Rotations are relative to the rest pose,
the one in which the skin was bound: D = A(t) A(rest)^-1 of the world matrices, without what stretches, and for a joint
D_parent^-1 D, so that the axes of nodes, which every program lays in another way, do not matter.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from utils.formats.glb_container import Broken
from utils.formats.gltf_document import Clip, Document, Track, read_document, told_apart
from utils.formats.gltf_figures import Figure, ancestors, figures_of
from utils.formats.gltf_tracks import clock, even_rate, sampled, span
from utils.geometry.kinematics import local_rotations
from utils.geometry.motion import Motion
from utils.geometry.rotations import nearest_rotations, quaternion_to_matrix
from utils.run.errors import DataError, UsageError, reading
from utils.run.parser import nearest

_MOST = 10_000_000  # joints times frames of all that is read at once, half a gigabyte
_LONG, _SPARSE = 20_000, 100  # frames of a clip, and frames to a key, that only a broken clock has together
_BLOCK = 200_000  # joints times frames of what is worked on at a time
_NOTHING = 1e-6  # the scale that stands for 0, which has no direction
_STRETCH = 0.01


class _Timing(NamedTuple):
    """Frames a second, how many, the second of the first, and what to say of it."""

    rate: float
    frames: int
    start: float
    note: str


class _Take(NamedTuple):
    """A figure in a clip, and what moves it."""

    clip: Clip
    figure: Figure
    tracks: list[Track]


def read(path: str | Path, clip: str = "", person: int | str = "") -> list[Motion]:
    """The motions of a file, one for each animation and each skinned figure (or bare tree of nodes) that it moves.

    `clip` picks animations by name, or by the part of it behind the last "|"; `person` a figure by name or number
    (from 0), which is needed where one animation moves several. Joints are those of the figure's skins, and nodes
    above and between them that move; the rate is that at which all keys are at frames. `note` says where bones
    stretch, and where the keys have no rate.
    Raises MissingFileError, DataError for what is broken, compressed, or does not move, UsageError for an unknown clip
    or person.
    """
    document = read_document(path)
    with reading(path, "a readable glTF file"), np.errstate(all="ignore"):  # what is too large is refused below
        tracks = {known.number: document.tracks(known) for known in document.clips}
        figures = figures_of(document, [track for those in tracks.values() for track in those])
        if not figures:
            rig = f"has a rig of {len(document.skins[0].joints)} joints" if document.skins else "has no rig"
            raise DataError(f"{path} {rig} but no motion: no animation moves its nodes")
        takes = []
        for figure in figures:
            needed = ancestors(document, figure.nodes)
            for known in _chosen_clips(document, path, clip):
                moving = [track for track in tracks[known.number] if track.node in needed]
                if any(track.node in figure.nodes for track in moving):
                    takes.append(_Take(known, figure, moving))
        takes.sort(key=lambda take: take.clip.number)
        takes = _of_one_person(takes, figures, path, person)
        evens = [rate for those in tracks.values() if (rate := even_rate(those))]
        timings = [_timing(take, max(evens, key=evens.count) if evens else 0.0) for take in takes]
        _refuse_endless(path, takes, timings)
        return [_motion(document, path, take, timing) for take, timing in zip(takes, timings, strict=True)]


def _chosen_clips(document: Document, path: str | Path, name: str) -> list[Clip]:
    """The animations of a name, all without one. Raises UsageError."""
    chosen = [clip for clip in document.clips if name in ("", clip.name)]
    chosen = chosen or [clip for clip in document.clips if clip.name.rpartition("|")[2] == name]
    if not chosen:
        names = ", ".join(clip.name for clip in document.clips[:8]) + (" ..." if len(document.clips) > 8 else "")
        close = nearest(name, [clip.name for clip in document.clips])
        raise UsageError(f"{path} has no clip {name!r}; it has {len(document.clips)}: {names}{close}")
    return chosen


def _of_one_person(takes: list[_Take], figures: list[Figure], path: str | Path, person: int | str) -> list[_Take]:
    """Those of the person asked for, else of whoever moves alone in each clip. Raises UsageError or DataError."""
    names = [figure.name for figure in figures]
    told = ", ".join(f"{number}: {name}" for number, name in enumerate(names[:8]))
    if person != "":
        number = names.index(person) if person in names else int(person) if str(person).isdecimal() else -1
        if not 0 <= number < len(names):
            raise UsageError(f"{path} has no person {person!r}; it has {told}")
        takes = [take for take in takes if take.figure is figures[number]]
    moving = [take.clip.number for take in takes]
    if doubled := next((take.clip.name for take in takes if moving.count(take.clip.number) > 1), None):
        raise UsageError(f"in {path} several move in {doubled[:60]!r}: pick a person by name or number ({told})")
    if not takes:
        raise DataError(f"{path} has no motion of what was picked; those that move in it: {told}")
    return takes


def _timing(take: _Take, usual: float) -> _Timing:
    """When the frames of a clip are; `usual` is the rate of most clips of the file."""
    stated = take.clip.extras.get("fps")
    rate, note = clock(take.tracks, float(stated) if isinstance(stated, int | float) else 0.0, usual)
    start, end = span(take.tracks)
    return _Timing(rate, round((end - start) * rate) + 1, start, note)


def _refuse_endless(path: str | Path, takes: Sequence[_Take], timings: Sequence[_Timing]) -> None:
    """Raise DataError where a clip lasts as only a broken clock says, or all would take the memory of the machine."""
    for take, timing in zip(takes, timings, strict=True):
        keys = max(len(track.times) for track in take.tracks)
        if timing.frames > max(_LONG, _SPARSE * keys):
            raise DataError(
                f"{path}: {take.clip.name[:60]!r} lasts {timing.frames / timing.rate:.6g} s and has {keys} keys in all"
            )
    sizes = [timing.frames * len(take.figure.joints) for take, timing in zip(takes, timings, strict=True)]
    if sum(sizes) > _MOST:
        longest = sizes.index(max(sizes))
        name, frames = takes[longest].clip.name[:60], timings[longest].frames
        raise DataError(
            f"{path} holds {sum(sizes):.3g} joints times frames, and {_MOST:.0e} are read at once; its longest clip is "
            f"{name!r} with {frames} frames, {timings[longest].rate:g} a second (pick a clip by its name)"
        )


def _motion(document: Document, path: str | Path, take: _Take, timing: _Timing) -> Motion:
    """A figure in a clip."""
    figure, count = take.figure, len(take.figure.joints)
    needed = ancestors(document, figure.joints)
    nodes = [node for node in document.order if node in needed]
    column = {node: place for place, node in enumerate(nodes)}
    columns = [column[joint] for joint in figure.joints]
    unturned = _inverses(figure.rest[:, :3, :3])
    positions = np.empty((timing.frames, count, 3), np.float32)
    rotations = np.empty((timing.frames, count, 3, 3), np.float32)
    block = max(1, _BLOCK // len(nodes))
    for first in range(0, timing.frames, block):
        frames = np.arange(first, min(first + block, timing.frames))
        linear, places = _worlds(document, nodes, take.tracks, frames, timing)
        turned = torch.from_numpy(_rotation_parts(linear[:, columns] @ unturned))
        positions[frames] = places[:, columns]
        rotations[frames] = local_rotations(turned, figure.parents).numpy()
    if not (np.isfinite(positions).all() and np.isfinite(rotations).all()):
        raise Broken(f"{take.clip.name[:60]} moves joints beyond all measure")
    rest = figure.rest[:, :3, 3].astype(np.float32)
    names = told_apart([document.nodes[joint].name for joint in figure.joints])
    notes = (timing.note, _stretching(positions, rest, names, figure.parents))
    text = take.clip.extras.get("text")
    return Motion(
        positions,
        timing.rate,
        tuple(names),
        figure.parents,
        rotations,
        take.clip.name,
        rest=rest,
        texts=(text,) if isinstance(text, str) and text else (),
        source=str(path),
        note="; ".join(filter(None, notes)),
    )


def _worlds(
    document: Document, nodes: list[int], tracks: Sequence[Track], frames: np.ndarray, timing: _Timing
) -> tuple[np.ndarray, np.ndarray]:
    """World matrices [T, N, 3, 3] and places [T, N, 3] of nodes, ancestors first, at frames [T] of a clip."""
    column, rows = {node: place for place, node in enumerate(nodes)}, [document.nodes[node] for node in nodes]
    parts = {path: np.stack([getattr(row, path) for row in rows]) for path in ("translation", "rotation", "scale")}
    parts = {path: np.repeat(values[:, None], len(frames), 1) for path, values in parts.items()}  # [N, T, 3 or 4]
    tracks = [track for track in tracks if track.node in column]
    for track, values in sampled(tracks, frames, timing.start, timing.rate):
        parts[track.path][column[track.node]] = values
    scale = np.where(np.abs(parts["scale"]) < _NOTHING, _NOTHING, parts["scale"])
    linear = quaternion_to_matrix(torch.from_numpy(parts["rotation"])).numpy() * scale[..., None, :]
    places = parts["translation"]
    moved = {track.node for track in tracks}
    for place, (node, row) in enumerate(zip(nodes, rows, strict=True)):
        if node not in moved:
            linear[place] = row.local[:3, :3]  # a matrix of a file may shear
        if row.parent >= 0:
            above = column[row.parent]
            places[place] = places[above] + (linear[above] @ places[place, ..., None])[..., 0]
            linear[place] = linear[above] @ linear[place]
    return linear.swapaxes(0, 1), places.swapaxes(0, 1)


def _inverses(linear: np.ndarray) -> np.ndarray:
    """The inverses of matrices [J, 3, 3]; of one that is flat (a joint scaled to nothing) the identity."""
    flat = np.abs(np.linalg.det(linear)) < 1e-30
    return np.linalg.inv(np.where(flat[:, None, None], np.eye(3), linear))


def _rotation_parts(matrices: np.ndarray) -> np.ndarray:
    """The rotations nearest to matrices [..., 3, 3] once their size is taken out; the identity for flat ones."""
    volume = np.linalg.det(matrices)
    flat = ~(np.abs(volume) > 1e-200)
    found = matrices / np.cbrt(np.where(flat, 1, np.abs(volume)))[..., None, None]
    found[flat] = np.eye(3)
    off = np.abs(found.swapaxes(-1, -2) @ found - np.eye(3)).max((-1, -2))
    far = ~(off < 0.1) | (volume < 0) & ~flat
    if far.any():
        found[far] = nearest_rotations(torch.from_numpy(found[far])).numpy()
    while off[~far].max(initial=0) > 1e-9:  # the polar part of what is nearly a rotation (Newton and Schulz)
        found = 1.5 * found - 0.5 * found @ found.swapaxes(-1, -2) @ found
        off = np.abs(found.swapaxes(-1, -2) @ found - np.eye(3)).max((-1, -2))
    return found


def _stretching(positions: np.ndarray, rest: np.ndarray, names: Sequence[str], parents: Sequence[int]) -> str:
    """What to say of bones that are not as long as in rest, those apart that carry the figure along the floor."""
    carried = _carried(parents)
    bones = [joint for joint, parent in enumerate(parents) if parent >= 0 and joint not in carried]
    if not bones:
        return ""
    above = [parents[joint] for joint in bones]
    length = np.linalg.norm(rest[bones] - rest[above], axis=-1)
    now = np.linalg.norm(positions[:, bones] - positions[:, above], axis=-1)
    whole = length > _STRETCH * np.ptp(rest, axis=0).max()
    change = np.where(whole, np.abs(now - length).max(0) / np.where(whole, length, 1), 0)
    many, most = int((change > _STRETCH).sum()), int(change.argmax())
    if not many:
        return ""
    return f"{many} of {len(bones)} bones stretch, that to {names[bones[most]]} by {100 * change[most]:.0f} %"


def _carried(parents: Sequence[int]) -> set[int]:
    """The joints from a root down to where the tree branches: hips on a root bone."""
    children: list[list[int]] = [[] for _ in parents]
    for joint, parent in enumerate(parents):
        if parent >= 0:
            children[parent].append(joint)
    carried: set[int] = set()
    for root in (joint for joint, parent in enumerate(parents) if parent < 0):
        chain = [root]
        while len(children[chain[-1]]) == 1:
            chain += children[chain[-1]]
        carried |= set(chain) if children[chain[-1]] else set()
    return carried
