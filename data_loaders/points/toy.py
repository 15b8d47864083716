"""Procedural figures for trying things out: people that walk, run, wave, jump and sway, and a horse, as 2D keypoints.

A pose is a set of joint angles that are periodic in a phase; a limb at angle 0 hangs down. Axes are those of the
camera frame: x the figure's left, y up, z its back (left-handed); lengths are units of the 3D motion. Sizes are chosen
so that the published means and spreads of each dataset fit (nba: about 2.5 units tall). The figures stay on the spot,
turn slowly, and are seen from a random azimuth by the camera of the dataset; as 3D motion (`body_motion`) they walk.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from data_loaders.points.projections import see
from data_loaders.registry import DatasetSpec
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import UsageError
from utils.run.randomness import numpy_rng

SECONDS = {"nba": (2.5, 6.0), "horse": (4.0, 8.0), "gymnastics": (5.0, 9.0)}
HUMAN_SIZE = {"nba": 1.0, "gymnastics": 0.78}
SIDES = np.array([1.0, -1.0])  # left, right: the sign of x
LOST_JOINTS = 0.08  # share of joints that a clip loses for a moment
RUNNING = 1.8  # metres a second from which a walk is called a run
_BODY = SKELETONS["smpl22"]


@dataclass
class Pose:
    """Angles of a human figure in radians, each broadcastable to [T] or, for limbs, to [T, 2] (left, right).

    `swing` turns a limb forward, `spread` outward; `knee` and `elbow` bend; `hop` is the height of the feet.
    """

    hip_swing: Any = 0.0
    hip_spread: Any = 0.04
    knee: Any = 0.06
    arm_swing: Any = 0.0
    arm_spread: Any = 0.14
    elbow: Any = 0.25
    forearm_spread: Any = field(default=None)
    lean: Any = 0.03
    tilt: Any = 0.0
    pelvis_yaw: Any = 0.0
    chest_yaw: Any = 0.0
    nod: Any = 0.0
    hop: Any = 0.0


def pulse(phase: np.ndarray, centre: float, sharpness: float = 3.0) -> np.ndarray:
    """A smooth bump of height 1 at `phase` = `centre`, periodic (von Mises density, unnormalised)."""
    return np.exp(sharpness * (np.cos(phase - centre) - 1))


def limb(swing: Any, spread: Any, side: Any = 1.0) -> np.ndarray:
    """Unit vector [..., 3] of a limb that hangs down, spread outward to its `side`, then swung forward."""
    swing, spread, side = np.broadcast_arrays(swing, spread, side)
    return np.stack([side * np.sin(spread), -np.cos(spread) * np.cos(swing), -np.cos(spread) * np.sin(swing)], -1)


def rotate_y(points: np.ndarray, angle: Any) -> np.ndarray:
    """Points [..., 3] turned to their left by `angle` about y."""
    c, s = np.cos(angle), np.sin(angle)
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    return np.stack([x * c - z * s, y * np.ones_like(c), x * s + z * c], -1)


def walk(phase: np.ndarray, rng: np.random.RandomState) -> Pose:
    """A gait cycle from stroll to run: heel strike of the left foot at phase 0, toe-off at about 0.6 of the cycle."""
    pace = rng.uniform(0, 1)
    legs = phase[:, None] + np.array([0, np.pi])
    stride = 0.32 + 0.33 * pace
    landing, swing = pulse(legs, 0.9), pulse(legs, 4.5, 2.5)
    return Pose(
        hip_swing=0.08 + 0.2 * pace + stride * np.cos(legs),
        knee=0.1 + (0.2 + 0.35 * pace) * landing + (0.95 + 0.75 * pace) * swing,
        arm_swing=-0.95 * stride * np.cos(legs),
        elbow=0.3 + 1.1 * pace - 0.25 * np.cos(legs),
        lean=0.04 + 0.16 * pace,
        tilt=0.03 * np.sin(phase),
        pelvis_yaw=-0.12 * np.cos(phase),
        chest_yaw=0.16 * np.cos(phase),
        hop=0.06 * pace * (1 + np.cos(2 * phase - 4.0)),
    )


def wave(phase: np.ndarray, rng: np.random.RandomState) -> Pose:
    """One arm raised sideways, its forearm waving twice a cycle; the weight goes from leg to leg."""
    up = np.array([1.0, 0.0]) if rng.randint(2) else np.array([0.0, 1.0])
    raised, sway = rng.uniform(1.3, 1.9), 0.05 * np.sin(phase)[:, None]
    return Pose(
        hip_spread=0.08 - SIDES * sway,
        arm_spread=0.16 + up * (raised - 0.16 + 0.12 * np.sin(2 * phase)[:, None]),
        forearm_spread=0.16 + up * (2.5 + rng.uniform(0.3, 0.7) * np.sin(2 * phase)[:, None]),
        elbow=0.25 * (1 - up),
        tilt=0.5 * sway[:, 0],
        nod=0.06 * np.sin(phase),
    )


def jump(phase: np.ndarray, rng: np.random.RandomState) -> Pose:
    """Crouch with the arms back, leap with the arms up, land softly: one jump a cycle."""
    depth = rng.uniform(0.7, 1.0)
    crouch = depth * (pulse(phase, 2.1, 5) + 0.6 * pulse(phase, 5.6, 7))[:, None]
    flight = np.clip((phase % (2 * np.pi) - 3.0) / 2.1, 0, 1)
    return Pose(
        hip_swing=1.05 * crouch,
        knee=0.06 + 1.75 * crouch,
        arm_swing=(-0.9 * pulse(phase, 2.0, 5) + rng.uniform(2.2, 2.9) * pulse(phase, 3.9, 4))[:, None],
        elbow=0.3 + 0.3 * crouch,
        lean=0.04 + 0.6 * crouch[:, 0],
        hop=4 * rng.uniform(0.3, 0.55) * flight * (1 - flight),
    )


def sway(phase: np.ndarray, rng: np.random.RandomState) -> Pose:
    """Hips and trunk from side to side, both arms floating out: a slow dance on the spot."""
    side = np.sin(phase)[:, None]
    lift = rng.uniform(0.5, 1.3)
    return Pose(
        hip_spread=0.12 - SIDES * rng.uniform(0.1, 0.2) * side,
        knee=0.12 + 0.25 * np.maximum(0, SIDES * side) ** 2,
        arm_spread=lift + rng.uniform(0.3, 0.7) * SIDES * side,
        forearm_spread=lift + 0.3 + 0.6 * SIDES * np.sin(phase - 0.7)[:, None],
        elbow=0.1,
        tilt=-rng.uniform(0.12, 0.3) * side[:, 0],
        chest_yaw=0.35 * np.sin(phase + 0.5),
    )


ACTIONS = {
    "walk": (walk, (0.75, 1.2)),
    "wave": (wave, (1.2, 1.8)),
    "jump": (jump, (1.2, 1.6)),
    "sway": (sway, (1.6, 2.8)),
}


def human(pose: Pose, frames: int, size: float) -> dict[str, np.ndarray]:
    """Named joints [T, 3] of a person whose legs are 1.23 * size units long; the pelvis is above the origin."""
    left, up = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])

    def column(value: Any) -> np.ndarray:
        return np.broadcast_to(value, (frames,))

    def both(value: Any) -> np.ndarray:
        return np.broadcast_to(value, (frames, 2))

    swing, spread, knee = both(pose.hip_swing), both(pose.hip_spread), both(pose.knee)
    hip = rotate_y(
        (0.18 * SIDES[:, None] * left - 0.04 * up) * np.ones((frames, 1, 1)), column(pose.pelvis_yaw)[:, None]
    )
    knees = hip + 0.63 * limb(swing, spread, SIDES)
    ankles = knees + 0.6 * limb(swing - knee, spread, SIDES)

    trunk = -limb(-column(pose.lean), column(pose.tilt))  # pelvis to neck
    yaw = column(pose.chest_yaw)
    neck = 0.9 * trunk
    across = rotate_y(left * np.ones((frames, 1)), yaw) + np.sin(column(pose.tilt))[:, None] * -up
    shoulders = 0.79 * trunk[:, None] + 0.27 * SIDES[:, None] * across[:, None]
    arm, out = both(pose.arm_swing), both(pose.arm_spread)
    fore_out = out if pose.forearm_spread is None else both(pose.forearm_spread)
    elbows = shoulders + 0.41 * rotate_y(limb(arm, out, SIDES), yaw[:, None])
    wrists = elbows + 0.37 * rotate_y(limb(arm + both(pose.elbow), fore_out, SIDES), yaw[:, None])

    head = -limb(-0.5 * column(pose.lean) + column(pose.nod), 0.5 * column(pose.tilt))
    face = rotate_y(np.array([0, 0, -1.0]) * np.ones((frames, 1)), 0.5 * yaw)
    skull = neck + 0.2 * head
    joints = {
        "Hip": np.zeros((frames, 3)),
        "Neck": neck,
        "Head": neck + 0.37 * head,
        "Nose": neck + 0.17 * head + 0.13 * face,
    }
    pairs = {"Hip": hip, "Knee": knees, "Ankle": ankles, "Shoulder": shoulders, "Elbow": elbows, "Wrist": wrists}
    pairs["Eye"] = (joints["Nose"] + 0.05 * head)[:, None] + (
        0.045 * SIDES[:, None] * across[:, None] - 0.02 * face[:, None]
    )
    pairs["Ear"] = skull[:, None] + 0.1 * SIDES[:, None] * across[:, None]
    for name, pair in pairs.items():
        joints["Left" + name], joints["Right" + name] = pair[:, 0], pair[:, 1]
    ground = ankles[..., 1].min(1) - np.broadcast_to(pose.hop, (frames,))
    rise = np.stack([np.zeros(frames), -ground, np.zeros(frames)], -1)
    return {name: size * (joint + rise) for name, joint in joints.items()}


HORSE_LEGS = (  # end, its joints, how far forward it is fixed, how much the upper half points ahead (radians)
    ("F", ("Shoulder", "Elbow", "FrontHoof"), 0.43, 0.0),
    ("B", ("Hip", "Knee", "BackHoof"), -0.78, 0.15),
)


def horse(phase: np.ndarray, rng: np.random.RandomState) -> dict[str, np.ndarray]:
    """Named joints [T, 3] of a horse in a trot (diagonal legs together) or a canter (hind legs nearly together)."""
    frames = len(phase)
    reach = rng.uniform(0.35, 0.6)
    canter = rng.randint(2)
    offsets = (
        {"FL": 2.2, "FR": 3.0, "BL": 0.0, "BR": 0.7} if canter else {"FL": 0.0, "FR": np.pi, "BL": np.pi, "BR": 0.0}
    )
    pitch = rng.uniform(0.05, 0.12) * canter * np.sin(phase) + 0.02 * np.sin(2 * phase)
    bob = rng.uniform(0.05, 0.12) * np.sin((1 if canter else 2) * phase + 0.8)
    lateral = rng.uniform(0.05, 0.15) * np.sin(phase)

    def body(x: Any, y: Any, forward: Any) -> np.ndarray:
        """A point fixed to the trunk: left, up and forward of its middle, pitched about the left axis."""
        up = y * np.cos(pitch) + forward * np.sin(pitch)
        return np.stack(np.broadcast_arrays(x * np.ones(frames), up, y * np.sin(pitch) - forward * np.cos(pitch)), -1)

    joints = {"Neck": body(0, 0.47 + 0.4 * bob, 0.5), "Tail": body(lateral, 0.5, -1.0)}
    head = joints["Neck"] + np.stack([0.2 * lateral, 0.3 + bob, -0.55 + 0.5 * bob], -1)
    joints["Nose"] = head + np.stack([0.1 * lateral, -0.27 + 0.5 * bob, -0.14 - 0.2 * bob], -1)
    for side, sign in (("Left", 1), ("Right", -1)):
        joints[side + "Eye"] = head + np.array([0.09 * sign, 0, 0])
        for end, (upper, middle, lower), place, ahead in HORSE_LEGS:
            leg = phase + offsets[end + side[0]]
            swing = 0.06 + reach * np.cos(leg)
            bend = 0.08 + 1.15 * pulse(leg, 4.4, 2)
            joints[side + upper] = body(0.14 * sign, 0.05, place)
            joints[side + middle] = joints[side + upper] + 0.32 * limb(swing + ahead, 0.0)
            joints[side + lower] = joints[side + middle] + 0.33 * limb(swing - bend, 0.0)
    lowest = np.min([joint[:, 1] for name, joint in joints.items() if name.endswith("Hoof")], axis=0)
    hop = 0.06 * canter * (1 + np.cos(phase - 1.5))
    return {name: joint + np.stack([0 * lowest, hop - lowest, 0 * lowest], -1) for name, joint in joints.items()}


def tossed_ball(wrist: np.ndarray, phase: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """A ball [T, 3] in the hand at `wrist` [T, 3], thrown up every second cycle."""
    throw = np.clip((phase % (4 * np.pi) - 1.0) / 5.0, 0, 1)
    height = rng.uniform(0.5, 1.5)
    return wrist + np.stack([0 * throw, 0.1 + 4 * height * throw * (1 - throw), 0 * throw], -1)


def figure(spec: DatasetSpec, rng: np.random.RandomState) -> np.ndarray:
    """One 3D motion [T, J, 3] in the camera frame at the rate of the stored files, joints in the order of `spec`.

    Centred on `spec.pinned_root` in each frame, or on its own mean over the clip. Raises UsageError for a dataset
    without a toy figure.
    """
    if spec.name not in SECONDS:
        raise UsageError(f"there is no toy figure for {spec.name}; choose from {', '.join(SECONDS)}")
    fps = spec.source_fps or spec.fps
    frames = int(rng.uniform(*SECONDS[spec.name]) * fps)
    seconds = np.arange(frames) / fps
    action, periods = list(ACTIONS.values())[rng.randint(len(ACTIONS))]
    period = rng.uniform(0.55, 0.9) if spec.name == "horse" else rng.uniform(*periods)
    phase = rng.uniform(0, 2 * np.pi) + 2 * np.pi * seconds / period
    if spec.name == "horse":
        joints = horse(phase, rng)
    else:
        joints = human(action(phase, rng), frames, HUMAN_SIZE[spec.name] * rng.uniform(0.94, 1.06))
        joints["Ball"] = tossed_ball(joints["RightWrist"], phase, rng)
    motion = np.stack([joints[_full_name(name)] for name in spec.skeleton.joints], axis=1)
    motion = rotate_y(motion, (rng.normal(0, 0.15) * seconds)[:, None])
    if spec.pinned_root >= 0:
        return motion - motion[:, spec.pinned_root, None]
    return motion - np.delete(motion, [spec.ball] if spec.ball >= 0 else [], axis=1).mean((0, 1))


def _full_name(joint: str) -> str:
    """`LKnee` -> `LeftKnee`: the short names of nba in full."""
    for letter, word in (("L", "Left"), ("R", "Right")):
        if joint.startswith(letter) and joint[1:2].isupper():
            return word + joint[1:]
    return joint


def body_motion(fps: float, seed: int, index: int) -> tuple[np.ndarray, str]:
    """Motion `index` of the toy people of `seed`: positions [T, 22, 3] of `smpl22` and the label of what they do.

    In metres, y up, right-handed, facing +z. A walk goes as fast as the foot on the floor moves backward.
    """
    rng = numpy_rng(seed, "toy", "body", index)
    frames = int(rng.uniform(*SECONDS["nba"]) * fps)
    name = list(ACTIONS)[rng.randint(len(ACTIONS))]
    action, periods = ACTIONS[name]
    phase = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(frames) / fps / rng.uniform(*periods)
    at = human(action(phase, rng), frames, rng.uniform(0.94, 1.06))
    motion = _on_smpl22(at) * SKELETONS["nba"].metres_per_unit * (1, 1, -1)
    feet = motion[:, [_BODY.index("left_ankle"), _BODY.index("right_ankle")]]
    if name == "walk":
        standing = feet[:-1, :, 1].argmin(1)
        steps = -np.diff(feet[..., 2], axis=0)[np.arange(frames - 1), standing]
        motion[..., 2] += np.concatenate([[0], np.cumsum(steps)])[:, None]
        if steps.mean() * fps > RUNNING:
            name = "run"
    if name == "wave":
        hands = motion[:, [_BODY.index("left_wrist"), _BODY.index("right_wrist")], 1].mean(0)
        name = "wave-left-hand" if hands[0] > hands[1] else "wave-right-hand"
    return motion.astype(np.float32), {"sway": "dance"}.get(name, name)


def _on_smpl22(at: dict[str, np.ndarray]) -> np.ndarray:
    """Named joints [T, 3] of a person as [T, 22, 3]: the spine is straight, the feet point where the figure faces."""
    spine = {f"spine{part}": at["Hip"] + share * (at["Neck"] - at["Hip"]) for part, share in ((1, 0.2), (2, 0.45))}
    known = {"pelvis": at["Hip"], "spine3": at["Hip"] + 0.6 * (at["Neck"] - at["Hip"]), "neck": at["Neck"]} | spine
    known["head"] = at["Neck"] + 0.4 * (at["Head"] - at["Neck"])
    for side in ("Left", "Right"):
        low = side.lower()
        known |= {f"{low}_{joint.lower()}": at[side + joint] for joint in ("Hip", "Knee", "Ankle", "Shoulder", "Elbow")}
        known |= {f"{low}_wrist": at[side + "Wrist"], f"{low}_foot": at[side + "Ankle"] + np.array([0, -0.07, -0.17])}
        known[f"{low}_collar"] = known["spine3"] + 0.35 * (at[side + "Shoulder"] - known["spine3"])
    return np.stack([known[name] for name in _BODY.joints], axis=1)


def toy_motion(spec: DatasetSpec, seed: int, index: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Motion `index` of the toy dataset of `seed`: what its file holds, and the truth behind it.

    Returns points [frames, J, 3] (x, y, confidence; float32), the 3D motion [frames, J, 3] in the camera frame
    (float32), and the azimuth in radians from which it is seen. Some joints are lost for a moment (low confidence).
    """
    rng = numpy_rng(seed, "toy", spec.name, index)
    truth = figure(spec, rng).astype(np.float32)
    azimuth = rng.uniform(-np.pi, np.pi)
    xy = see(torch.from_numpy(truth)[None], torch.tensor([azimuth], dtype=torch.float32), spec)[0].numpy()
    frames, joints = xy.shape[:2]
    confidence = rng.uniform(0.7, 1.0, (frames, joints))
    for joint in np.flatnonzero(rng.uniform(size=joints) < LOST_JOINTS):
        start = rng.randint(frames)
        gap = slice(start, start + rng.randint(3, 12))
        confidence[gap, joint] = 0
        xy[gap, joint] = xy[start, joint]
    return np.concatenate([xy, confidence[..., None]], axis=-1).astype(np.float32), truth, azimuth
