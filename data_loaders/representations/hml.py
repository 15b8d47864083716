"""The features of HumanML3D (263 numbers a frame) and KIT-ML (251): from joint positions and back.

Guo et al., "Generating Diverse and Natural 3D Human Motions from Text" (CVPR 2022), section 4.1. A clip of T frames
gives T - 1 rows of 12 J - 1 features in seven blocks (`blocks`): root_yaw [1], half the turn of the body to the next
frame; root_velocity [2], the root's step in x and z as the body faces; height [1] of the root; ric [3 (J - 1)], the
other joints about the point below the root, as the body faces; rot6d [6 (J - 1)], each bone's turn against the bone
before it; velocity [3 J], every joint's step as the body faces; contact [4], whether left ankle, left toe, right ankle
and right toe move less than a threshold.

"As the body faces" means rotated about y by the angle that takes the body's heading to z; yaw quaternions (w, x, y, z)
are that turn. Rotations are those of the published chains: a bone's world rotation is the shortest one from its rest
direction, every chain begins at the root's turn (arms do not hang on the spine), and the twist about a bone is not
kept.
Positions are metres (KIT-ML: millimetres), y up, [..., T, J, 3].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv1d, normalize, pad

from utils.geometry.kinematics import bone_lengths, global_rotations, local_rotations, walk
from utils.geometry.rotations import about_axis, between_vectors, rotation_6d_to_matrix
from utils.geometry.skeleton import SKELETONS, Skeleton
from utils.geometry.smoothing import gaussian
from utils.run.errors import DataError, UsageError

FaceOrder = Literal["published", "right"]
Yaw = Literal["published", "continuous"]
Start = tuple[Tensor, Tensor]

_SMOOTHING = 20.0  # deviation, in frames, of the Gaussian that the heading is smoothed by
_REACH = 80  # frames at which that Gaussian is cut off
_FRAMES_AT_ONCE = 4096  # more do not fit in a processor's cache
_SHORTEST_LEGS = 1e-6  # in units of the skeleton: what is shorter has no directions to bring to another body


@dataclass(frozen=True)
class Layout:
    """What the features of one skeleton are built on; joints by index.

    `rest` are the unit directions of the bones at rest (that of the bone ending at each joint), `face` the right and
    left hip and the right and left shoulder (KIT-ML's as published, whatever the joints' names say), `legs` the joints
    whose bones measure the leg, `left_feet` and `right_feet` ankle and toe, `contact` the squared step below which a
    foot stands, `lengths` the bones of the skeleton that all motion is brought to (empty: not known).
    """

    skeleton: Skeleton
    rest: tuple[tuple[int, int, int], ...]
    face: tuple[int, int, int, int]
    legs: tuple[int, int]
    left_feet: tuple[int, int]
    right_feet: tuple[int, int]
    contact: float
    lengths: tuple[float, ...] = ()

    @property
    def joints(self) -> int:
        """Number of joints."""
        return len(self.rest)

    @property
    def features(self) -> int:
        """Features a frame."""
        return 12 * self.joints - 1

    @property
    def offsets(self) -> Tensor | None:
        """Bones [J, 3] at rest of the skeleton that all motion is brought to; None where it is not known."""
        return torch.tensor(self.lengths)[:, None] * torch.tensor(self.rest) if self.lengths else None

    @property
    def turning_parents(self) -> tuple[int, ...]:
        """The joint whose bone each rotation is told against: the one before it in its chain, or the root."""
        starts = {chain[1] for chain in self.skeleton.chains}
        return tuple(0 if joint in starts else parent for joint, parent in enumerate(self.skeleton.parents))


_X, _Y, _Z, _LEFT, _DOWN = (1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0), (0, -1, 0)

LAYOUTS: dict[str, Layout] = {
    row.skeleton.name: row
    for row in (
        Layout(
            SKELETONS["smpl22"],
            rest=(
                (0, 0, 0), _X, _LEFT, _Y, _DOWN, _DOWN, _Y, _DOWN, _DOWN, _Y, _Z, _Z, _Y, _X, _LEFT, _Z, _DOWN, _DOWN,
                _DOWN, _DOWN, _DOWN, _DOWN,
            ),
            face=(2, 1, 17, 16),
            legs=(5, 8),
            left_feet=(7, 10),
            right_feet=(8, 11),
            contact=0.002,
            lengths=(
                0.0, 0.10307395, 0.10988335, 0.13156825, 0.39362314, 0.39018813, 0.14319026, 0.43243298, 0.42564332,
                0.05736471, 0.14338174, 0.14941867, 0.21936, 0.13748683, 0.14338283, 0.10303927, 0.13161398,
                0.12298431, 0.25683984, 0.26309186, 0.26601186, 0.2698763,
            ),
        ),
        Layout(
            SKELETONS["kit21"],
            rest=(
                (0, 0, 0), _Y, _Y, _Y, _Y, _X, _DOWN, _DOWN, _LEFT, _DOWN, _DOWN, _X, _DOWN, _DOWN, _Z, _Z, _LEFT,
                _DOWN, _DOWN, _Z, _Z,
            ),
            face=(11, 16, 5, 8),
            legs=(17, 18),
            left_feet=(19, 20),
            right_feet=(14, 15),
            contact=0.05,
        ),
    )
}  # fmt: skip


def layout_of(skeleton: Skeleton | str) -> Layout:
    """The layout of a skeleton or of its name. Raises UsageError where none is known."""
    name = skeleton if isinstance(skeleton, str) else skeleton.name
    if name not in LAYOUTS:
        raise UsageError(f"the skeleton {name} has no HumanML3D features; {' and '.join(LAYOUTS)} have")
    return LAYOUTS[name]


def blocks(layout: Layout) -> dict[str, slice]:
    """The places of root_yaw, root_velocity, height, ric, rot6d, velocity and contact among the features."""
    joints = layout.joints
    sizes = {
        "root_yaw": 1,
        "root_velocity": 2,
        "height": 1,
        "ric": 3 * (joints - 1),
        "rot6d": 6 * (joints - 1),
        "velocity": 3 * joints,
        "contact": 4,
    }
    ends = accumulate(sizes.values())
    return {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}


def feature_mask(layout: Layout, joints: Sequence[str | int], root: bool) -> Tensor:
    """Which features [F] belong to joints given by name or index; `root` adds the first four (path, height, turn).

    A contact belongs to its foot. Raises UsageError for a joint that is not there.
    """
    names = layout.skeleton.joints
    wanted = [names.index(joint) if joint in names else joint for joint in joints]
    for joint in wanted:
        if isinstance(joint, str) or not 0 <= joint < layout.joints:
            raise UsageError(f"{layout.skeleton.name} has no joint {joint}; its joints are {' '.join(names)}")
    chosen = torch.zeros(layout.joints, dtype=torch.bool)
    chosen[[int(joint) for joint in wanted]] = True
    return torch.cat(
        (
            torch.full((4,), root),
            chosen[1:].repeat_interleave(3),
            chosen[1:].repeat_interleave(6),
            chosen.repeat_interleave(3),
            chosen[[*layout.left_feet, *layout.right_feet]],
        )
    )


def encode(
    clips: Sequence[Tensor | np.ndarray],
    layout: Layout,
    target: Tensor | Literal["layout"] | None = "layout",
    face_order: FaceOrder = "published",
    yaw: Yaw = "published",
) -> list[Tensor]:
    """Features [T - 1, F] of each clip [T, J, 3], as the published data sets were made.

    `target` holds the bones [J, 3] whose lengths all motion is brought to: the layout's where it knows them, None for
    nobody's (every clip keeps its proportions). For the two flaws of the published data see `extract`. Raises DataError
    for a clip of fewer than 2 frames, of other joints, with NaN or infinite positions, or with no legs to bring to the
    target's; clips count from 0.
    """
    offsets = layout.offsets if isinstance(target, str) else target
    return [
        part
        for positions, lengths in _groups(clips, layout, offsets is not None)
        for part in _extracted(_placed(positions, lengths, layout, offsets), lengths, layout, face_order, yaw)
    ]


def place(
    clips: Sequence[Tensor | np.ndarray], layout: Layout, target: Tensor | Literal["layout"] | None = "layout"
) -> list[Tensor]:
    """The clips [T, J, 3] as the features see them: the target's bones, lowest point on the floor, start at x = z = 0
    facing z. Parameters and errors as for `encode`."""
    offsets = layout.offsets if isinstance(target, str) else target
    return [
        part
        for positions, lengths in _groups(clips, layout, offsets is not None)
        for part in _placed(positions, lengths, layout, offsets).split(lengths)
    ]


def extract(
    clips: Sequence[Tensor | np.ndarray],
    layout: Layout,
    face_order: FaceOrder = "published",
    yaw: Yaw = "published",
) -> list[Tensor]:
    """Features [T - 1, F] of clips that have the wanted bones and stand where they should (see `place`).

    The published data confuse the hips when they look for the heading, so that only the shoulders tell it (and the hips
    pull the other way): `face_order` "right" does not. Where the heading passes half a turn from the start, one yaw of
    the published data has the wrong sign and all that follows is turned: `yaw` "continuous" has not.
    """
    return [
        part
        for positions, lengths in _groups(clips, layout)
        for part in _extracted(positions, lengths, layout, face_order, yaw)
    ]


def path_features(path: Tensor, heading: Tensor) -> Tensor:
    """The first three features [..., T - 1, 3] of a root path (x, z) [..., T, 2] walked with a heading [..., T]."""
    cos, sin = heading[..., 1:].cos(), -heading[..., 1:].sin()
    x, z = path.diff(dim=-2).unbind(-1)
    step = -heading.diff(dim=-1) / 2
    return torch.stack((_unwrapped(step), cos * x + sin * z, cos * z - sin * x), -1)


def heading(positions: Tensor, layout: Layout) -> Tensor:
    """The angle about y [..., T] from z to where the body of positions [..., T, J, 3] faces, in (-pi, pi]."""
    x, z = _forward(positions, layout.face).unbind(-1)
    return torch.atan2(x, z)


def first_heading(placed: Tensor, layout: Layout, face_order: FaceOrder) -> Tensor:
    """The heading [] that is 0 to the features of a clip [T, J, 3]: 0 as published, else the first smoothed one."""
    if face_order == "published":
        return placed.new_zeros(())
    return _headings(placed, [len(placed)], layout.face)[0][0]


def root_motion(features: Tensor) -> tuple[Tensor, Tensor]:
    """Yaw quaternions [..., T, 4] and root positions [..., T, 3] of features [..., T, F]; they start at 0, facing z."""
    half = _half_turns(features)
    zero = torch.zeros_like(half)
    return torch.stack((half.cos(), zero, half.sin(), zero), -1), _root_path(features, half)


def decode(features: Tensor, layout: Layout, start: Start | None = None) -> Tensor:
    """Positions [..., T, J, 3] of features [..., T, F], by the joints' positions among them.

    `start` is the heading [...] (radians from z) and the place (x, z) [..., 2] of the first frame in the world.
    """
    half = _half_turns(features)
    root = _root_path(features, half)
    ric = features[..., blocks(layout)["ric"]].unflatten(-1, (-1, 3))
    others = _rotated_y(ric, (2 * half).cos()[..., None], -(2 * half).sin()[..., None])
    ground = root[..., None, :] * root.new_tensor((1, 0, 1))
    return _moved(torch.cat((root[..., None, :], others + ground), -2), start)


def decode_rotations(features: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """Rotations [..., T, J, 3, 3] against `Layout.turning_parents`, root first, and root positions [..., T, 3].

    The root's is the turn that takes the body's heading to z; `global_rotations` along `turning_parents` gives each
    bone's own rotation from its rest direction.
    """
    half = _half_turns(features)
    rotations = rotation_6d_to_matrix(features[..., blocks(layout)["rot6d"]].unflatten(-1, (-1, 6)))
    root = about_axis("Y", 2 * half)[..., None, :, :]
    return torch.cat((root, rotations), -3), _root_path(features, half)


def joints_of(skeleton: Skeleton, centred: bool = False) -> Callable[[Tensor], Tensor]:
    """`decode` of a skeleton; where these features stand is always their own (`centred` is for rotations)."""
    return partial(decode, layout=layout_of(skeleton))


def rotations_of(skeleton: Skeleton) -> Callable[[Tensor], Tensor]:
    """The function from features [..., T, F] to rotations [..., T, J, 3, 3] relative to the parents.

    They know no twist: each is that of the bone ending at its joint.
    """
    layout = layout_of(skeleton)

    def relative(features: Tensor) -> Tensor:
        in_world = global_rotations(decode_rotations(features, layout)[0], layout.turning_parents)
        return local_rotations(in_world, skeleton.parents)

    return relative


def joint_features(skeleton: Skeleton, joints: Tensor) -> Tensor:
    """`feature_mask` of `joints`, bool [J]; the root's path, turn and height belong to the root."""
    return feature_mask(layout_of(skeleton), joints.nonzero()[:, 0].tolist(), root=bool(joints[0]))


def decode_by_rotations(
    features: Tensor, layout: Layout, offsets: Tensor | None = None, start: Start | None = None
) -> Tensor:
    """Positions [..., T, J, 3] of features [..., T, F], by the bones' rotations among them.

    `offsets` [J, 3] are the bones at rest (default the layout's); `start` as for `decode`. Raises UsageError where the
    layout knows no bones and none are given.
    """
    offsets = layout.offsets if offsets is None else offsets
    if offsets is None:
        raise UsageError(f"the bones of {layout.skeleton.name} are not known: give offsets [{layout.joints}, 3]")
    rotations, root = decode_rotations(features, layout)
    world = global_rotations(rotations, layout.turning_parents)
    bones = (world @ offsets.to(world)[..., None]).squeeze(-1)
    return _moved(_from_bones(bones, root, layout.skeleton), start)


def statistics(features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and deviation [F] over all frames of clips [T, F], summed in double precision."""
    frames = sum(len(clip) for clip in features)
    mean = torch.stack([clip.double().sum(0) for clip in features]).sum(0) / frames
    variance = torch.stack([((clip.double() - mean) ** 2).sum(0) for clip in features]).sum(0) / frames
    return mean.float(), variance.sqrt().float()


def block_std(std: Tensor, layout: Layout) -> Tensor:
    """The deviations [F] averaged inside each block, as in the published Std."""
    averaged = std.clone()
    for block in blocks(layout).values():
        averaged[block] = std[block].mean()
    return averaged


def round_trip_error(
    clip: Tensor | np.ndarray,
    layout: Layout,
    target: Tensor | Literal["layout"] | None = "layout",
    face_order: FaceOrder = "published",
    yaw: Yaw = "published",
) -> dict[str, float]:
    """What features lose of a clip [T, J, 3], in mm: mean and largest distance of a joint from where `place` puts it.

    `positions_*` by `decode`, `rotations_*` by `decode_by_rotations` with the bones of the first frame. The features
    hold no twist about a bone, so no figure counts it, and they end one frame before the clip.
    """
    placed = place([clip], layout, target)[0]
    features = extract([placed], layout, face_order, yaw)[0]
    offsets = bone_lengths(placed[0], layout.skeleton.parents)[:, None] * placed.new_tensor(layout.rest)
    start = first_heading(placed, layout, face_order), placed.new_zeros(2)
    found = {
        "positions": decode(features, layout, start),
        "rotations": decode_by_rotations(features, layout, offsets, start),
    }
    errors = {}
    for name, points in found.items():
        distance = torch.linalg.vector_norm(points - placed[:-1], dim=-1) * layout.skeleton.metres_per_unit * 1000
        errors |= {f"{name}_mean": float(distance.mean()), f"{name}_max": float(distance.max())}
    return errors


def has_legs(positions: Tensor, layout: Layout) -> bool:
    """Whether the legs of a clip [T, J, 3] have a length in its first frame, by which other bones are measured."""
    return bool(_legs(positions[0], layout) >= _SHORTEST_LEGS)


def _groups(
    clips: Sequence[Tensor | np.ndarray], layout: Layout, stretched: bool = False
) -> list[tuple[Tensor, list[int]]]:
    """The clips end to end [N, J, 3] and their numbers of frames, several clips at a time."""
    groups: list[list[Tensor]] = [[]]
    frames = 0
    for i, clip in enumerate(clips):
        positions = (clip if isinstance(clip, Tensor) else torch.tensor(clip)).float()
        _check(positions, i, layout)
        if stretched and not has_legs(positions, layout):
            raise DataError(f"clip {i} has legs of no length, as where all joints are in one place")
        if frames and frames + len(positions) > _FRAMES_AT_ONCE:
            groups.append([])
            frames = 0
        groups[-1].append(positions)
        frames += len(positions)
    return [(torch.cat(group), [len(clip) for clip in group]) for group in groups if group]


def _check(positions: Tensor, i: int, layout: Layout) -> None:
    if positions.ndim != 3 or positions.shape[1:] != (layout.joints, 3):
        shape = "x".join(map(str, positions.shape))
        raise DataError(f"clip {i} is {shape}; features of {layout.skeleton.name} are made of Tx{layout.joints}x3")
    if len(positions) < 2:
        raise DataError(f"clip {i} has {len(positions)} frames; features need at least 2")
    if not positions.isfinite().all():
        raise DataError(f"clip {i} has NaN or infinite positions")


def _placed(positions: Tensor, lengths: list[int], layout: Layout, offsets: Tensor | None) -> Tensor:
    """The clips [N, J, 3] on the target's bones, on the floor, from the origin, facing z at first."""
    frames = torch.tensor(lengths, device=positions.device)
    first = frames.cumsum(0) - frames
    clip = torch.arange(len(lengths), device=positions.device).repeat_interleave(frames)
    if offsets is not None:
        positions = _uniform(positions, layout, offsets, first, clip)
    lowest = positions[..., 1].amin(1)
    floor = lowest.new_zeros(len(lengths)).scatter_reduce(0, clip, lowest, "amin", include_self=False)
    start = positions[first]
    origin = torch.stack((start[:, 0, 0], floor, start[:, 0, 2]), -1)
    facing = heading(start, layout)[clip, None]
    return _rotated_y(positions - origin[clip, None], facing.cos(), -facing.sin())


def _uniform(positions: Tensor, layout: Layout, offsets: Tensor, first: Tensor, clip: Tensor) -> Tensor:
    """Positions [N, J, 3] with bones as long as the target's and the root's path as long as its legs."""
    lengths = torch.linalg.vector_norm(offsets, dim=-1).to(positions)
    scale = lengths[list(layout.legs)].sum() / _legs(positions[first], layout)
    return with_lengths(positions, lengths, positions[:, 0] * scale[clip, None], layout.skeleton)


def with_lengths(positions: Tensor, lengths: Tensor, root: Tensor, skeleton: Skeleton) -> Tensor:
    """Positions [N, J, 3] with bones of these lengths [J] in their own directions, from a root [N, 3]."""
    bones = positions - positions[:, [max(parent, 0) for parent in skeleton.parents]]
    return _from_bones(normalize(bones, dim=-1) * lengths[:, None], root, skeleton)


def _legs(positions: Tensor, layout: Layout) -> Tensor:
    """The length [...] of the legs of positions [..., J, 3]."""
    return bone_lengths(positions, layout.skeleton.parents)[..., list(layout.legs)].sum(-1)


def _from_bones(bones: Tensor, root: Tensor, skeleton: Skeleton) -> Tensor:
    """Positions [..., J, 3] of bones [..., J, 3] laid end to end from the root [..., 3]."""
    placed = {0: root}
    for joint in walk(skeleton.parents)[1:]:
        placed[joint] = placed[skeleton.parents[joint]] + bones[..., joint, :]
    return torch.stack([placed[joint] for joint in range(len(skeleton.parents))], -2)


def _extracted(positions: Tensor, lengths: list[int], layout: Layout, face_order: FaceOrder, yaw: Yaw) -> list[Tensor]:
    """Features [T - 1, F] of each of the clips that lie end to end in [N, J, 3]."""
    face = layout.face
    if face_order == "published":
        face = (face[1], face[0], *face[2:])
    heading, first = _headings(positions, lengths, face)
    if face_order == "published":
        heading = heading.index_fill(0, first, 0)  # the unsmoothed one, which makes the first turn a jump
    else:
        begin = heading[first].repeat_interleave(torch.tensor(lengths, device=heading.device))
        heading, positions = heading - begin, _rotated_y(positions, begin.cos()[:, None], -begin.sin()[:, None])
    turn = -heading
    yaws = turn.diff() / 2
    yaws = torch.asin(torch.sin(yaws)) if yaw == "published" else _unwrapped(yaws)
    cos, sin = turn.cos()[:, None], turn.sin()[:, None]
    steps = positions.diff(dim=0)
    velocity = _rotated_y(steps, cos[:-1], sin[:-1])
    root_velocity = _rotated_y(steps[:, :1], cos[1:], sin[1:])[:, 0]
    ric = _rotated_y(positions - positions[:, :1] * positions.new_tensor((1, 0, 1)), cos, sin)
    feet = [*layout.left_feet, *layout.right_feet]
    contact = (steps[:, feet] ** 2).sum(-1) < layout.contact
    features = torch.cat(
        (
            yaws[:, None],
            root_velocity[:, ::2],
            positions[:-1, 0, 1:2],
            ric[:-1, 1:].flatten(1),
            _bone_turns(positions, turn, layout)[:-1].flatten(1),
            velocity.flatten(1),
            contact.float(),
        ),
        1,
    )
    # A row at the end of each clip but the last leads into the next clip: it goes.
    rows = pad(features, (0, 0, 0, 1)).split(lengths)
    return [clip[:-1] for clip in rows]


def _headings(positions: Tensor, lengths: list[int], face: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The smoothed headings [N] of clips that lie end to end, and where each clip begins; a lying body faces z.

    Before and after a clip its end frames go on.
    """
    device = positions.device
    frames = torch.tensor(lengths, device=device)
    first = frames.cumsum(0) - frames
    reached = frames + 2 * _REACH
    begins = reached.cumsum(0) - reached
    clip = torch.arange(len(lengths), device=device).repeat_interleave(reached)
    place = torch.arange(len(clip), device=device) - begins[clip] - _REACH
    forward = _forward(positions, face)[first[clip] + place.clamp_min(0).minimum(frames[clip] - 1)]
    window = torch.from_numpy(gaussian(_SMOOTHING, _REACH)).to(forward)
    smooth = conv1d(forward.T[:, None], window[None, None])[:, 0].T
    kept = torch.arange(len(positions), device=device) + (begins - first).repeat_interleave(frames)
    return torch.atan2(*smooth[kept].unbind(-1)), first


def _bone_turns(positions: Tensor, turn: Tensor, layout: Layout) -> Tensor:
    """The 6D rotations [N, J - 1, 6] of all bones, each against the one before it in its chain or the root's `turn`."""
    parents = [max(parent, 0) for parent in layout.skeleton.parents[1:]]
    bones = between_vectors(positions.new_tensor(layout.rest[1:]), positions[:, 1:] - positions[:, parents])
    world = torch.cat((about_axis("Y", turn)[:, None], bones), 1)
    turns = world[:, layout.turning_parents[1:]].mT @ bones[..., :2]
    return turns.mT.flatten(-2)


def _forward(positions: Tensor, face: Sequence[int]) -> Tensor:
    """x and z [..., 2] of (from right to left hip and shoulder, made a unit vector) x y; short for a lying body."""
    right_hip, left_hip, right_shoulder, left_shoulder = (positions[..., joint, :] for joint in face)
    across = normalize(left_hip - right_hip + left_shoulder - right_shoulder, dim=-1)
    return torch.stack((-across[..., 2], across[..., 0]), -1)


def _rotated_y(points: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Points [..., 3] rotated about y by the angles of which cosine and sine [...] are given."""
    x, y, z = points.unbind(-1)
    return torch.stack((cos * x + sin * z, y.expand(x.shape), cos * z - sin * x), -1)


def _moved(positions: Tensor, start: Start | None) -> Tensor:
    """Positions [..., T, J, 3] that begin at a heading [...] and place [..., 2] instead of at the origin facing z."""
    if start is None:
        return positions
    heading, place = start
    world = _rotated_y(positions, heading.cos()[..., None, None], heading.sin()[..., None, None])
    return world + pad(place[..., :1], (0, 2))[..., None, None, :] + pad(place[..., 1:], (2, 0))[..., None, None, :]


def _half_turns(features: Tensor) -> Tensor:
    """Half the angle [..., T] of the turn about y that takes the heading of each frame to z."""
    return pad(features[..., :-1, 0].cumsum(-1), (1, 0))


def _root_path(features: Tensor, half: Tensor) -> Tensor:
    """Root positions [..., T, 3]."""
    x, z = features[..., :-1, 1], features[..., :-1, 2]
    cos, sin = (2 * half[..., 1:]).cos(), -(2 * half[..., 1:]).sin()
    steps = torch.stack((cos * x + sin * z, cos * z - sin * x), -1)
    x, z = pad(steps.cumsum(-2), (0, 0, 1, 0)).unbind(-1)
    return torch.stack((x, features[..., 3], z), -1)


def _unwrapped(half_steps: Tensor) -> Tensor:
    """Half turns between frames with whole turns taken away."""
    return half_steps - torch.pi * torch.round(half_steps / torch.pi)
