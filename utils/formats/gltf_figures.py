"""Who moves in a glTF document: the joints of each figure, its tree, and its rest pose in the world.

A figure is a skin, or several that share nodes (body, hair, clothes), else a tree of animated nodes. Its rest is the
pose in which its skin was bound; where nodes stand otherwise before they are animated, the bind pose is carried into
the world by the node of the mesh or by its topmost joint.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from utils.formats.gltf_document import Document, Skin, Track, told_apart
from utils.geometry.kinematics import walk

_ALIKE = 1e-3  # of matrices that are the same but for digits
_STILL = 1e-5
_LEAST = 3  # joints of a figure, where others have as many: cameras and props move too


@dataclass(frozen=True)
class Figure:
    """Whoever moves, by a name that no other has.

    `joints` are nodes, parents first where the skin's own order allows it, `parents` places among them.

    `nodes` are all that belong to it, those above it not; `rest` [J, 4, 4] are its joints in the world in rest.
    """

    name: str
    joints: tuple[int, ...]
    parents: tuple[int, ...]
    nodes: frozenset[int]
    rest: np.ndarray


def figures_of(document: Document, tracks: Iterable[Track]) -> list[Figure]:
    """The figures of a document that some of these tracks (of all clips) move: skinned ones, else trees of nodes."""
    moves: dict[int, list[Track]] = {}
    for track in tracks:
        moves.setdefault(track.node, []).append(track)
    groups = [(nodes, skins) for nodes, skins in _skinned(document) if not nodes.isdisjoint(moves)]
    figures = [_skinned_figure(document, nodes, skins, moves) for nodes, skins in groups]
    figures = figures or _bare_figures(document, set(moves))
    names = told_apart([figure.name for figure in figures])
    return [replace(figure, name=name) for figure, name in zip(figures, names, strict=True)]


def ancestors(document: Document, nodes: Iterable[int]) -> set[int]:
    """Nodes and all that are above them."""
    found: set[int] = set()
    for node in nodes:
        while node >= 0 and node not in found:
            found.add(node)
            node = document.nodes[node].parent
    return found


def _changes(document: Document, track: Track) -> bool:
    """Whether a track moves its node at all: from key to key, or away from where it rests."""
    values, node = track.values, document.nodes[track.node]
    if track.interpolation == "CUBICSPLINE":
        if np.abs(values[:, [0, 2]]).max() > _STILL:
            return True
        values = values[:, 1]
    rest = {"translation": node.translation, "rotation": node.rotation, "scale": node.scale}[track.path]
    if track.path == "rotation":
        return bool(np.abs(values @ rest).min() < 1 - _STILL**2)
    return bool(np.abs(values - rest).max() > _STILL)


def _skinned(document: Document) -> list[tuple[set[int], list[Skin]]]:
    """The skins, those together whose nodes meet; nodes are the joints and what lies between and below them."""
    groups: list[tuple[set[int], list[Skin]]] = []
    for skin in sorted(document.skins, key=lambda skin: -len(skin.joints)):
        inside = next((group for group in groups if group[0].issuperset(skin.joints)), None)
        if inside:
            inside[1].append(skin)
            continue
        nodes, skins = _reach(document, skin), [skin]
        for group in [group for group in groups if not group[0].isdisjoint(nodes)]:
            groups.remove(group)
            nodes, skins = nodes | group[0], skins + group[1]
        groups.append((nodes, skins))
    groups = [(nodes, sorted(skins, key=lambda skin: skin.number)) for nodes, skins in groups]
    return sorted(groups, key=lambda group: group[1][0].number)


def _reach(document: Document, skin: Skin) -> set[int]:
    """The joints of a skin, the nodes between them, and all below them."""
    joints = set(skin.joints)
    common = _lowest_common(document, skin.joints)
    above = ancestors(document, [document.nodes[common].parent] if common >= 0 else [])
    between = ancestors(document, joints) - above if common >= 0 else joints
    stack, found = list(between), set(between)
    while stack:
        children = [child for child in document.nodes[stack.pop()].children if child not in found]
        found |= set(children)
        stack += children
    # What is below the common node only because that is no joint itself may be another figure.
    return found if common in joints else found - _other_branches(document, common, joints)


def _other_branches(document: Document, common: int, joints: set[int]) -> set[int]:
    """The common node of a skin's joints, which is none of them, and its branches without any of them."""
    if common < 0:
        return set()
    others: set[int] = {common}
    for child in document.nodes[common].children:
        branch = _below(document, child)
        others |= set() if branch & joints else branch
    return others


def _below(document: Document, node: int) -> set[int]:
    """A node and all below it."""
    found, stack = {node}, [node]
    while stack:
        children = document.nodes[stack.pop()].children
        found |= set(children)
        stack += children
    return found


def _lowest_common(document: Document, joints: Sequence[int]) -> int:
    """The lowest node that is above all of these or one of them; -1 where there is none."""
    chain, node = [], joints[0]
    while node >= 0:
        chain.append(node)
        node = document.nodes[node].parent
    rank, seen, lowest = {node: place for place, node in enumerate(chain)}, set(chain), 0
    for node in joints:
        while node >= 0 and node not in seen:
            seen.add(node)
            node = document.nodes[node].parent
        if node < 0:
            return -1
        lowest = max(lowest, rank.get(node, 0))
    return chain[lowest]


def _skinned_figure(document: Document, nodes: set[int], skins: list[Skin], moves: dict[int, list[Track]]) -> Figure:
    """The joints of the skins, and nodes between and above them that move."""
    joints = list(dict.fromkeys(joint for skin in skins for joint in skin.joints))
    others = ancestors(document, joints) - set(joints)
    extra = [node for node in others if any(_changes(document, track) for track in moves.get(node, ()))]
    joints, parents = _in_order(document, extra, joints)
    bound = _bind_poses(document, skins)
    rest = np.zeros((len(joints), 4, 4))
    for place in walk(parents):
        joint, parent = joints[place], parents[place]
        above = np.eye(4) if parent < 0 else rest[parent] @ _inverse(document.nodes[joints[parent]].world)
        rest[place] = bound.get(joint, above @ document.nodes[joint].world)
    holder = document.nodes[joints[parents.index(-1)]].parent
    name = skins[0].name or (document.nodes[holder].name if holder >= 0 else f"skin_{skins[0].number}")
    return Figure(name, tuple(joints), tuple(parents), frozenset(nodes | set(extra)), rest)


def _bare_figures(document: Document, moved: set[int]) -> list[Figure]:
    """The trees of animated nodes, those under one node of the scene together."""
    tops: dict[int, list[int]] = {}
    for node in sorted(moved):
        chain = [node]
        while document.nodes[chain[-1]].parent >= 0:
            chain.append(document.nodes[chain[-1]].parent)
        top = [above for above in chain if above in moved][-1]
        if top not in tops.setdefault(chain[-1], []):
            tops[chain[-1]].append(top)
    figures = []
    for scene, roots in tops.items():
        trees = [_below(document, root) for root in roots]
        nodes = set().union(*([tree for tree in trees if len(tree) >= _LEAST] or trees))
        order, parents = _in_order(document, [], sorted(nodes))
        rest = np.stack([document.nodes[joint].world for joint in order])
        figures.append(Figure(document.nodes[scene].name, tuple(order), tuple(parents), frozenset(nodes), rest))
    return [figure for figure in figures if len(figure.joints) >= _LEAST] or figures


def _in_order(document: Document, extra: list[int], joints: list[int]) -> tuple[list[int], list[int]]:
    """Nodes, with parents as places among them: as they come if parents come first, else from the roots down."""
    rank = {node: place for place, node in enumerate(document.order)}
    joints = sorted(extra, key=rank.__getitem__) + joints
    parents = _parents(document, joints)
    if any(parent >= place for place, parent in enumerate(parents)):
        joints = [joints[place] for place in walk(parents)]
        parents = _parents(document, joints)
    return joints, parents


def _parents(document: Document, joints: list[int]) -> list[int]:
    """The place of the nearest node above each that is among the joints, -1 without one."""
    places, found = {joint: place for place, joint in enumerate(joints)}, []
    for joint in joints:
        above = document.nodes[joint].parent
        while above >= 0 and above not in places:
            above = document.nodes[above].parent
        found.append(places.get(above, -1))
    return found


def _bind_poses(document: Document, skins: list[Skin]) -> dict[int, np.ndarray]:
    """The joints [4, 4] in the world as they stood when their skin was bound; none where nodes rest just so."""
    found: dict[int, np.ndarray] = {}
    for skin in skins:
        worlds = np.stack([document.nodes[joint].world for joint in skin.joints])
        inverse = skin.inverse_bind
        if (np.abs(np.linalg.det(inverse[:, :3, :3])) < 1e-12).any() or not np.allclose(inverse[:, 3], (0, 0, 0, 1)):
            continue  # no poses: nodes rest as they do
        carried = worlds @ inverse  # from the axes of the bound mesh to the world, by each joint
        if _same(carried, carried[:1], np.ptp(worlds[:, :3, 3], axis=0).max()):
            continue
        bound = np.linalg.inv(inverse)
        for joint, place in zip(skin.joints, _carry(document, skin, worlds, bound) @ bound, strict=True):
            found.setdefault(joint, place)
    return found


def _carry(document: Document, skin: Skin, worlds: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """The matrix [4, 4] from the axes of a bound mesh to the world: its node, if sizes then fit, else by the root."""
    holder = next((node for node in document.nodes if node.skin == skin.number and node.mesh is not None), None)
    parents = _parents(document, list(skin.joints))
    bones = [(place, parent) for place, parent in enumerate(parents) if parent >= 0]
    if holder is not None and bones:
        sizes = [_length(places, bones) for places in (worlds, holder.world @ bound)]
        if np.isclose(sizes[0], sizes[1], rtol=0.05):
            return holder.world
    root = parents.index(-1)
    return worlds[root] @ skin.inverse_bind[root]


def _length(places: np.ndarray, bones: list[tuple[int, int]]) -> float:
    """The sum of the lengths of bones."""
    ends = np.array(bones)
    return float(np.linalg.norm(places[ends[:, 0], :3, 3] - places[ends[:, 1], :3, 3], axis=-1).sum())


def _same(one: np.ndarray, other: np.ndarray, size: float) -> bool:
    """Whether matrices are the same but for digits, in a figure of that size."""
    turned = np.abs(one - other)[:, :3, :3].max() <= _ALIKE * max(np.abs(other[:, :3, :3]).max(), 1e-12)
    return bool(turned and np.abs(one - other)[:, :3, 3].max() <= _ALIKE * max(size, 1e-12))


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a matrix, its pseudo-inverse where it has none (a node scaled to nothing)."""
    return np.linalg.pinv(matrix) if abs(np.linalg.det(matrix)) < 1e-30 else np.linalg.inv(matrix)
