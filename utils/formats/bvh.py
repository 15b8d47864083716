"""Biovision BVH: a tree of joints with Euler channels in degrees, one line of numbers a frame.

Every node becomes a joint; the end site of `foot` is called `foot_end`. A joint's rotations apply in the order of its
channels (intrinsic); its position channels, on any joint, replace its OFFSET axis by axis. A file that does not hold
what it announces is refused with the number of the line. What `write` writes is said there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from utils.formats.checks import check_motion
from utils.formats.export_format import Format, look_at_points, single
from utils.formats.lines import Refused, numbers
from utils.formats.rates import rate_of_text
from utils.geometry.body import Body, BodyMotion, on_floor
from utils.geometry.bone_frames import flesh_end
from utils.geometry.kinematics import forward
from utils.geometry.motion import Motion
from utils.geometry.root_bone import NAME as ROOT_BONE
from utils.geometry.root_bone import split_root
from utils.geometry.rotations import EULER_ORDERS, euler_to_matrix, matrix_to_euler
from utils.geometry.spans import over_spans
from utils.run.errors import DataError
from utils.run.files import atomic_write, read_text

_BLOCK = 2_000_000  # numbers turned into matrices at a time
_ORDER = "ZXY"
_ROTATIONS = " ".join(f"{axis}rotation" for axis in _ORDER)
_SIX = f"6 Xposition Yposition Zposition {_ROTATIONS}"


@dataclass
class _Node:
    name: str
    index: int
    parent: int
    offset: list[float] | None = None
    positions: dict[int, int] = field(default_factory=dict)  # axis -> column
    turns: str = ""
    columns: list[int] = field(default_factory=list)


def read(path: str | Path, scale: float = 1.0) -> Motion:
    """The clip in a BVH file, positions in the file's unit times `scale` (0.01 for centimetres), rotations local.

    A frame time that is a rounded 1/n is read as n frames a second. Raises MissingFileError or DataError.
    """
    path = Path(path)
    lines = read_text(path, otherwise="latin-1").split("\n")
    try:
        nodes, start = _read_tree(lines)
        fps, values, note = _read_frames(lines, start, sum(len(node.columns) + len(node.positions) for node in nodes))
    except Refused as refused:
        raise DataError(f"{path}, {refused}") from refused
    parents = tuple(node.parent for node in nodes)
    block = max(1, _BLOCK // (9 * len(nodes)))
    parts = [_pose(nodes, parents, values[first : first + block], scale) for first in range(0, len(values), block)]
    positions = np.concatenate([part[0] for part in parts])
    with np.errstate(over="ignore"):
        rest = (_rest(nodes, parents, values) * scale).astype(np.float32)
    if not (np.isfinite(positions).all() and np.isfinite(rest).all()):
        raise DataError(f"{path} holds numbers too large for a position")
    rotations = np.concatenate([part[1] for part in parts])
    names = tuple(node.name for node in nodes)
    return Motion(positions, fps, names, parents, rotations, path.stem, rest=rest, source=str(path), note=note)


def _read_tree(lines: list[str]) -> tuple[list[_Node], int]:
    """Nodes in file order and the index of the line after MOTION."""
    nodes: dict[str, _Node] = {}
    open_nodes: list[_Node] = []
    pending = None  # a node whose brace has not come yet
    column = 0
    for number, line in enumerate(lines, 1):
        words = line.replace("{", " { ").replace("}", " } ").split()
        keyword = words[0].upper() if words else ""
        if keyword == "MOTION":
            missing = [name for name, node in nodes.items() if node.offset is None]
            if open_nodes or pending or missing or not nodes:
                lack = f"{missing[0]} has an OFFSET" if missing else "the tree of joints is complete"
                raise Refused(number, f"MOTION comes before {lack}")
            return list(nodes.values()), number
        if keyword in ("ROOT", "JOINT", "END"):
            if pending or (keyword == "ROOT") == bool(open_nodes):
                raise Refused(number, f"{keyword} is out of place")
            pending = _add_node(nodes, keyword, words[1:], open_nodes, number)
            words = words[-1:] if words[-1] == "{" else []
        elif keyword == "OFFSET" and open_nodes:
            open_nodes[-1].offset = numbers(words[1:], 3, number)
            words = []
        elif keyword == "CHANNELS" and open_nodes:
            column = _add_channels(open_nodes[-1], words[1:], column, number)
            words = []
        elif keyword == "HIERARCHY" and not nodes:
            words = []
        for word in words:
            if word == "{" and pending:
                open_nodes.append(pending)
                pending = None
            elif word == "}" and open_nodes and not pending:
                open_nodes.pop()
            else:
                raise Refused(number, f"{word[:40]!r} was not expected here")
    raise Refused(len(lines), "the file ends before MOTION")


def _add_node(nodes: dict[str, _Node], keyword: str, words: list[str], above: list[_Node], number: int) -> _Node:
    """Enter a new node under the last of `above`; an end site gets a name unlike all before it."""
    name = " ".join(word for word in words if word != "{")
    if keyword == "END":
        endings = (f"{above[-1].name}_end{k if k > 1 else ''}" for k in count(1))
        name = next(ending for ending in endings if ending not in nodes)
    if keyword == "ROOT" and nodes:
        raise Refused(number, "a second figure begins; files with one ROOT are read")
    if not name or name in nodes:
        raise Refused(number, f"a second joint is called {name}" if name else "the joint has no name")
    nodes[name] = _Node(name, len(nodes), above[-1].index if above else -1)
    return nodes[name]


def _add_channels(node: _Node, words: list[str], column: int, number: int) -> int:
    """Enter the channels of one joint; returns the next free column."""
    if node.turns or node.positions:
        raise Refused(number, f"{node.name} has its channels twice")
    if not words or words[0] != str(len(words) - 1):
        raise Refused(number, f"CHANNELS {words[0] if words else ''} is followed by {max(len(words) - 1, 0)} names")
    for word in words[1:]:
        axis, kind = word[:1].upper(), word[1:].lower()
        if axis not in ("X", "Y", "Z") or kind not in ("position", "rotation"):
            raise Refused(number, f"there is no channel {word[:40]!r} (allowed: X, Y, Z with position or rotation)")
        if kind == "rotation":
            node.turns += axis
            node.columns.append(column)
        elif "XYZ".index(axis) in node.positions:
            raise Refused(number, f"{node.name} has {word} twice")
        else:
            node.positions["XYZ".index(axis)] = column
        column += 1
    if not any(order.startswith(node.turns) for order in EULER_ORDERS):
        raise Refused(number, f"{node.name} turns about {node.turns}, which is no order of Euler angles")
    return column


def _read_frames(lines: list[str], start: int, width: int) -> tuple[float, np.ndarray, str]:
    """Frames a second, the numbers [T, width] of the lines after MOTION, and what to say of them, if anything."""
    rows = [(number, line) for number, line in enumerate(lines[start:], start + 1) if line.strip()]
    if len(rows) < 2:
        raise Refused(len(lines), "the file ends before 'Frames:' and 'Frame Time:'")
    announced = _after("Frames", rows[0])
    if not announced.isdecimal() or len(announced) > 12:
        raise Refused(rows[0][0], f"{announced[:40]!r} is no number of frames")
    fps = _frame_rate(_after("Frame Time", rows[1]), rows[1][0])
    rows = rows[2:]
    more = len(rows) - int(announced)
    if more == 1 and int(announced):
        rows = rows[:-1]  # Rokoko writes one more, and every program reads the announced ones
    elif more or not rows:
        raise Refused(start + 1, f"{int(announced)} frames are announced and {len(rows)} are there")
    if not width:
        raise Refused(start, "no joint has a channel")
    try:
        values = np.loadtxt([line for _, line in rows], dtype=np.float64, comments=None, ndmin=2)
    except ValueError:
        values = np.empty((0, 0))
    if values.shape != (len(rows), width) or not np.isfinite(values).all():
        for number, line in rows:
            numbers(line.split(), width, number)
        raise Refused(rows[0][0], "the frames cannot be read as numbers")
    return fps, values, f"{more} row more than the announced {len(rows)} was left out" if more else ""


def _after(title: str, row: tuple[int, str]) -> str:
    """What stands behind `title:` in a row."""
    match = re.fullmatch(rf"\s*{title}\s*:\s*(\S+)\s*".replace(" ", r"\s+"), row[1], re.IGNORECASE)
    if not match:
        raise Refused(row[0], f"{title + ':'!r} and its value were expected")
    return match[1]


def _frame_rate(text: str, number: int) -> float:
    """Frames a second of a frame time."""
    rate = rate_of_text(text)
    if rate is None:
        raise Refused(number, f"{text[:40]!r} is no frame time")
    return rate


def _pose(
    nodes: list[_Node], parents: tuple[int, ...], values: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """World positions [T, J, 3] and local rotations [T, J, 3, 3], float32, of the numbers of T frames."""
    offsets = np.tile(np.array([node.offset for node in nodes]), (len(values), 1, 1))
    rotations = torch.eye(3).repeat(len(values), len(nodes), 1, 1)
    orders: dict[str, list[int]] = {}
    for joint, node in enumerate(nodes):
        for axis, column in node.positions.items():
            offsets[:, joint, axis] = values[:, column]
        if node.turns:
            orders.setdefault(node.turns, []).append(joint)
    for turns, joints in orders.items():
        order = next(order for order in EULER_ORDERS if order.startswith(turns))
        angles = np.zeros((len(values), len(joints), 3))
        angles[..., : len(turns)] = np.radians(values[:, [nodes[joint].columns for joint in joints]])
        rotations[:, joints] = euler_to_matrix(torch.from_numpy(angles), order).float()
    positions, _ = forward(rotations.double(), torch.from_numpy(offsets), parents, torch.from_numpy(offsets[:, 0]))
    return (positions * scale).float().numpy(), rotations.numpy()


def _rest(nodes: list[_Node], parents: tuple[int, ...], values: np.ndarray) -> np.ndarray:
    """Where the joints stand [J, 3] with all rotations 0: position channels of joints count in the mean."""
    offsets = np.array([node.offset for node in nodes], np.float64)
    for joint, node in enumerate(nodes):
        for axis, column in node.positions.items() if parents[joint] >= 0 else ():
            offsets[joint, axis] = values[:, column].mean()
    still = torch.eye(3, dtype=torch.float64).expand(len(nodes), 3, 3)
    return forward(still, torch.from_numpy(offsets), parents, torch.from_numpy(offsets[0]))[0].numpy()


class Layout(NamedTuple):
    """The tree of a BVH file as it stands there, for frames of another motion.

    `lines` are those before MOTION; a joint has the rotation channels `orders` ("ZXY"; "" for none) in the columns
    `turns`, and position channels by axis in the columns `places`. `offsets` [J, 3] are in the file's unit.
    """

    lines: tuple[str, ...]
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    orders: tuple[str, ...]
    turns: tuple[tuple[int, ...], ...]
    places: tuple[dict[int, int], ...]


def read_layout(path: str | Path) -> Layout:
    """The tree of a BVH file. Raises MissingFileError or DataError."""
    lines = read_text(path, otherwise="latin-1").split("\n")
    try:
        nodes, start = _read_tree(lines)
    except Refused as refused:
        raise DataError(f"{path}, {refused}") from refused
    return Layout(
        tuple(line.rstrip() for line in lines[: start - 1]),
        tuple(node.name for node in nodes),
        tuple(node.parent for node in nodes),
        np.array([node.offset for node in nodes], np.float64),
        tuple(node.turns for node in nodes),
        tuple(tuple(node.columns) for node in nodes),
        tuple(node.positions for node in nodes),
    )


def write_layout(
    path: str | Path, layout: Layout, rotations: np.ndarray, moved: Mapping[int, np.ndarray], fps: float
) -> None:
    """Write local rotations [T, J, 3, 3] in the tree of another BVH file, its lines as they are, atomically.

    `moved` are the translations [T, 3], in the file's unit, of joints that have position channels and do not stay at
    their OFFSET. A joint with fewer than three rotation channels turns by the first angles of an order that begins so.
    """
    width = sum(len(turns) + len(places) for turns, places in zip(layout.turns, layout.places, strict=True))
    values, patterns = np.zeros((len(rotations), width)), ["%.4f"] * width
    for joint, (order, columns) in enumerate(zip(layout.orders, layout.turns, strict=True)):
        if columns:
            whole = next(known for known in EULER_ORDERS if known.startswith(order))
            angles = matrix_to_euler(torch.from_numpy(rotations[:, [joint]].astype(np.float64)), whole).numpy()
            angles = _continuous(angles) if len(set(whole)) == 3 else np.unwrap(angles, axis=0)
            values[:, list(columns)] = np.degrees(angles[:, 0, : len(columns)])
        for axis, column in layout.places[joint].items():
            values[:, column] = moved[joint][:, axis] if joint in moved else layout.offsets[joint, axis]
            patterns[column] = "%.6f"
    pattern = " ".join(patterns)
    lines = [*layout.lines, "MOTION", f"Frames: {len(values)}", f"Frame Time: {1 / fps:.10f}"]
    lines += [pattern % tuple(row) for row in values.tolist()]
    with atomic_write(path) as handle:
        handle.write(("\n".join(lines) + "\n").encode())


def write(path: str | Path, motion: BodyMotion, units: float = 1.0) -> None:
    """Write a clip as BVH, `units` to the metre, atomically.

    In metres (1) it stands in Blender as it is, where the GLB of the same clip stands; most recorded BVH and what reads
    it in MotionBuilder or iClone count centimetres (100). The format says nothing about it.

    The rest pose (all rotations 0) is that of the body: people stand in a T, facing +z, left side on +x, y up, the axes
    of all joints those of the world. The root's OFFSET is 0 and its position channels are its place in the world, so
    that readers which add the two and readers which replace one by the other agree. All joints turn in the order ZXY
    (one order, because many readers take that of the root for all); angles run on beyond 180 degrees rather than jump.
    A joint without children has an End Site at the end of its flesh. On a root bone the hips hang as high as they stand
    in rest, and have position channels too. Digits go down to a micrometre and 0.0001 degrees.
    Raises NumericError for NaN or infinity, DataError for a body with more than one root or a clip without frames.
    """
    body, turned = motion.body, np.asarray(motion.rotations)
    check_motion(motion, path)
    if sum(parent < 0 for parent in body.parents) != 1:
        raise DataError(
            f"{body.name} has {sum(parent < 0 for parent in body.parents)} roots; a BVH file holds one tree"
        )
    lines, order = _hierarchy(body, units, motion.root_bone)
    turned, places = turned[:, order], [motion.root]
    if motion.root_bone:
        bone = split_root(motion)
        turned = np.concatenate([bone.heading[:, None], bone.turned[:, None], turned[:, 1:]], 1)
        places = [bone.path, bone.hips]
    euler = over_spans(lambda turned: matrix_to_euler(turned.double(), _ORDER), torch.as_tensor(turned))
    angles = np.degrees(_continuous(euler.numpy()))
    rows = np.concatenate(
        [
            *map(np.hstack, zip(np.multiply(places, units), angles.swapaxes(0, 1), strict=False)),
            angles[:, len(places) :].reshape(len(angles), -1),
        ],
        1,
    )
    pattern = " ".join((["%.6f"] * 3 + ["%.4f"] * 3) * len(places) + ["%.4f"] * (3 * (angles.shape[1] - len(places))))
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / motion.fps:.10f}"]
    lines += [pattern % tuple(row) for row in rows.tolist()]
    with atomic_write(path) as handle:
        handle.write(("\n".join(lines) + "\n").encode())


def _hierarchy(body: Body, units: float, root_bone: bool = False) -> tuple[list[str], list[int]]:
    """The lines of the tree of joints, and the joints in the order in which they come there (a root bone apart)."""
    children = [
        [child for child, above in enumerate(body.parents) if above == joint] for joint in range(len(body.rest))
    ]
    names = [" ".join(name.split()) for name in body.joints]
    lines, order = ["HIERARCHY"], []

    def offset(indent: str, vector: np.ndarray) -> str:
        return f"{indent}OFFSET " + " ".join(f"{value * units:.6f}" for value in vector.tolist())

    depth = 0
    if root_bone:
        lines += [f"ROOT {ROOT_BONE}", "{", offset("  ", np.zeros(3)), f"  CHANNELS {_SIX}"]
        depth = 1
    waiting = [(body.parents.index(-1), depth)]  # joints to open; -1: the end of one (a chain may be of any length)
    while waiting:
        joint, depth = waiting.pop()
        outer, inner = "  " * depth, "  " * (depth + 1)
        if joint < 0:
            lines.append(outer + "}")
            continue
        order.append(joint)
        channels = f"3 {_ROTATIONS}" if body.parents[joint] >= 0 else _SIX
        way = on_floor(body).rest[joint] * (0, 1, 0) if depth and body.parents[joint] < 0 else body.offsets[joint]
        lines.extend([f"{outer}{'JOINT' if depth else 'ROOT'} {names[joint]}", outer + "{"])
        lines.extend([offset(inner, way), f"{inner}CHANNELS {channels}"])
        if not children[joint]:
            lines.extend([f"{inner}End Site", inner + "{", offset(inner + "  ", flesh_end(body, joint)), inner + "}"])
        waiting.append((-1, depth))
        waiting.extend((child, depth + 1) for child in reversed(children[joint]))
    if root_bone:
        lines.append("}")
    return lines, order


def _continuous(angles: np.ndarray) -> np.ndarray:
    """Of the Euler angles [T, J, 3] that mean the same rotations those without jumps from frame to frame.

    (a, b, c) is the same as (a + pi, pi - b, c + pi). Taking the other of the two in both of two neighbouring frames
    leaves their distance as it is, so the choices add up along the clip.
    """
    other = np.stack([angles[..., 0] + np.pi, np.pi - angles[..., 1], angles[..., 2] + np.pi], -1)
    stay, change = (
        np.abs((after[1:] - angles[:-1] + np.pi) % (2 * np.pi) - np.pi).sum(-1) for after in (angles, other)
    )
    changed = np.cumsum(np.pad(change < stay, ((1, 0), (0, 0))), 0) % 2 == 1
    return np.unwrap(np.where(changed[..., None], other, angles), axis=0)


FORMAT = Format(".bvh", single(write), read, look_at_points, by_name=True)
