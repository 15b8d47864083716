"""A made-up person of SMPL's 22 joints that walks, turns, waves, kicks, jumps, sits: built by kinematics, in metres.

Right-handed, y up; at heading 0 it faces +z and has the left on +x. Feet stand where they are put and the knees follow.
"""

from collections.abc import Callable, Mapping

import numpy as np

from utils.geometry.skeleton import SKELETONS

FPS = 20.0
MIRROR = list(SKELETONS["smpl22"].mirror)
_J = {name: index for index, name in enumerate(SKELETONS["smpl22"].joints)}
_THIGH, _SHIN, _ANKLE, _HIP = 0.42, 0.40, 0.08, 0.09
_STANDING = _THIGH + _SHIN + _ANKLE - 0.01
_UPPER, _FORE = 0.27, 0.26
_TRUNK = {"spine1": 0.1, "spine2": 0.22, "spine3": 0.28, "neck": 0.5, "head": 0.62}
_SHOULDER, _SHOULDER_HEIGHT, _COLLAR = 0.18, 0.45, 0.07

Curve = Callable[[np.ndarray], np.ndarray]


def act(
    seconds: float,
    path: np.ndarray | None = None,
    heading: np.ndarray | float = 0.0,
    height: np.ndarray | float = _STANDING,
    feet: np.ndarray | None = None,
    lean: np.ndarray | float = 0.0,
    arms: Mapping[str, tuple[np.ndarray | float, np.ndarray | float, np.ndarray | float]] | None = None,
) -> np.ndarray:
    """Positions [T, 22, 3] of a person whose pelvis goes along `path` [T, 2] (x, z) at a `height` [T] with a `heading`.

    `feet` [T, 2, 3] are the ankles, left and right, in the world (default: under the hips on the floor); `lean` is the
    trunk's, forward. An arm is (up, out, bend) in radians: from hanging, from ahead to the side, and of the elbow.
    """
    frames = round(seconds * FPS)
    full = lambda value: np.broadcast_to(np.asarray(value, float), (frames,)).copy()  # noqa: E731
    heading, lean, height = full(heading), full(lean), full(height)
    path = np.zeros((frames, 2)) if path is None else path
    ahead = np.stack([np.sin(heading), np.zeros(frames), np.cos(heading)], -1)
    left = np.stack([np.cos(heading), np.zeros(frames), -np.sin(heading)], -1)
    up = np.array([0.0, 1.0, 0.0])
    joints = np.zeros((frames, 22, 3))
    joints[:, 0] = np.stack([path[:, 0], height, path[:, 1]], -1)
    trunk = np.sin(lean)[:, None] * ahead + np.cos(lean)[:, None] * up
    for name, length in _TRUNK.items():
        joints[:, _J[name]] = joints[:, 0] + length * trunk
    for index, (side, sign) in enumerate((("left", 1), ("right", -1))):
        joints[:, _J[f"{side}_collar"]] = joints[:, 0] + 0.42 * trunk + sign * _COLLAR * left
        shoulder = joints[:, 0] + _SHOULDER_HEIGHT * trunk + sign * _SHOULDER * left
        raised, out, bend = (full(value) for value in (arms or {}).get(side, (0.08, 1.4, 0.1)))
        away = np.cos(out)[:, None] * ahead + np.sin(out)[:, None] * sign * left
        joints[:, _J[f"{side}_shoulder"]] = shoulder
        joints[:, _J[f"{side}_elbow"]] = elbow = shoulder + _UPPER * _swung(raised, away, up)
        joints[:, _J[f"{side}_wrist"]] = elbow + _FORE * _swung(raised + bend, away, up)
        hip = joints[:, 0] + sign * _HIP * left - 0.02 * up
        ankle = (hip * (1, 0, 1) + _ANKLE * up) if feet is None else feet[:, index]
        joints[:, _J[f"{side}_hip"]] = hip
        joints[:, _J[f"{side}_ankle"]] = ankle
        joints[:, _J[f"{side}_knee"]] = _knee(hip, ankle, ahead)
        joints[:, _J[f"{side}_foot"]] = ankle + 0.13 * ahead - (_ANKLE - 0.02) * up
    return joints.astype(np.float32)


def walk(
    seconds: float, speed: float = 1.2, way: float = 0.0, turning: float = 0.0, cadence: float = 2.0, rise: float = 0.0
) -> np.ndarray:
    """A walk that goes the way (radians, 0 forward, positive to the left) against the facing, turning radians a second.

    `rise` metres the body flies between steps, as in a run.
    """
    time = np.arange(round(seconds * FPS)) / FPS

    def where(t: np.ndarray) -> np.ndarray:
        fine = np.linspace(-2, seconds + 2, 4001)
        course = turning * fine + way
        xy = np.cumsum(np.stack([np.sin(course), np.cos(course)], -1) * speed * (fine[1] - fine[0]), axis=0)
        return np.stack([np.interp(t, fine, xy[:, axis]) for axis in (0, 1)], -1)

    feet = np.stack([_steps(time, where, turning, cadence, index) for index in (0, 1)], 1)
    bounce = rise * np.abs(np.sin(np.pi * cadence * time))
    feet[..., 1] += bounce[:, None]
    swing = 0.35 * np.sin(np.pi * cadence * time)
    arms = {"left": (np.abs(swing), np.where(swing > 0, 0.0, np.pi), 0.1)}
    arms["right"] = (np.abs(swing), np.where(swing > 0, np.pi, 0.0), 0.1)
    return act(seconds, where(time), turning * time, _STANDING - 0.03 + bounce, feet, arms=arms)


def stand(seconds: float = 1.0) -> np.ndarray:
    """A person who stands."""
    return act(seconds)


def turn(angle: float, seconds: float = 1.5) -> np.ndarray:
    """A turn on the spot by an angle (radians, positive to the left), with a rest before and after."""
    return act(seconds + 1, heading=angle * ease(seconds + 1, 0.5, seconds + 0.5))


def raise_arms(sides: tuple[str, ...], up: float = 2.6, out: float = 0.3, seconds: float = 3.0) -> np.ndarray:
    """Arms that go up, stay and come down again."""
    lifted = 0.08 + (up - 0.08) * (ease(seconds, 0.3, 0.9) - ease(seconds, seconds - 0.9, seconds - 0.3))
    return act(seconds, arms=dict.fromkeys(sides, (lifted, out, 0.1)))


def wave(side: str, count: int = 4) -> np.ndarray:
    """A raised hand that goes to and fro `count` times, twice in three seconds."""
    seconds = 1.2 + count * 0.7
    time = np.arange(round(seconds * FPS)) / FPS
    waving = ease(seconds, 0.3, 0.6) - ease(seconds, seconds - 0.6, seconds - 0.3)
    swing = np.where((time > 0.6) & (time < seconds - 0.6), np.sin(2 * np.pi * (time - 0.6) / 0.7), 0)
    return act(seconds, arms={side: (0.1 + 1.4 * waving, 1.5, 1.2 * waving + 0.5 * swing)})


def punch(side: str, count: int = 1) -> np.ndarray:
    """A guard out of which a fist goes forward `count` times."""
    seconds = 0.6 + 0.9 * count
    out = sum(ease(seconds, start, start + 0.15) - ease(seconds, start + 0.3, start + 0.6) for start in
              (0.4 + 0.9 * number for number in range(count)))  # fmt: skip
    guard = (0.5 + 1.07 * out, 0.2, 2.2 * (1 - out))
    other = "right" if side == "left" else "left"
    return act(seconds, arms={side: guard, other: (0.5, 0.2, 2.2)})


def kick(side: str, count: int = 1, height: float = 0.7) -> np.ndarray:
    """A foot that flies forward to a height `count` times, while the other stands."""
    seconds = 0.8 + 1.0 * count
    out = sum(ease(seconds, start, start + 0.25) - ease(seconds, start + 0.3, start + 0.6) for start in
              (0.4 + 1.0 * number for number in range(count)))  # fmt: skip
    feet = _under(round(seconds * FPS))
    feet[:, 0 if side == "left" else 1] += np.stack([0 * out, height * out, 0.6 * out], -1)
    return act(seconds, feet=feet)


def jump(count: int = 1, height: float = 0.3, forward: float = 0.0) -> np.ndarray:
    """Jumps with both feet, each with a crouch before it, `forward` metres a jump."""
    air = 2 * np.sqrt(2 * height / 9.81)
    seconds = 0.6 + count * (0.5 + air)
    time = np.arange(round(seconds * FPS)) / FPS
    lift, dip, gone = np.zeros_like(time), np.zeros_like(time), np.zeros_like(time)
    for number in range(count):
        start = 0.4 + number * (0.5 + air)
        part = (time - start) / air
        lift += np.where((part > 0) & (part < 1), 4 * height * part * (1 - part), 0)
        crouched = (start - 0.12, start + air + 0.1)
        dip += 0.16 * sum(np.exp(-(((time - middle) / 0.09) ** 2)) for middle in crouched)
        gone += forward * np.clip(part, 0, 1)
    path = np.stack([np.zeros_like(gone), gone], -1)
    feet = _under(len(time)) + np.stack([0 * lift, lift, gone], -1)[:, None]
    return act(seconds, path, height=_STANDING + lift - dip, feet=feet)


def sit(seconds: float = 3.0) -> np.ndarray:
    """Sits down on a chair."""
    down = ease(seconds, 0.5, 1.5)
    path = np.stack([0 * down, -0.45 * down], -1)
    lean = 0.5 * (ease(seconds, 0.4, 0.9) - ease(seconds, 1.0, 1.6))
    return act(seconds, path, height=_STANDING - 0.4 * down, feet=_under(len(down)), lean=lean)


def crouch(seconds: float = 3.0) -> np.ndarray:
    """Crouches down and stays."""
    down = ease(seconds, 0.5, 1.2)
    path = np.stack([0 * down, -0.1 * down], -1)
    return act(seconds, path, height=_STANDING - 0.45 * down, feet=_under(len(down)), lean=0.7 * down)


def kneel(seconds: float = 2.0) -> np.ndarray:
    """On both knees, the trunk upright, shins on the floor behind."""
    feet = _under(round(seconds * FPS)) + (0, 0, -0.38)
    return act(seconds, height=_THIGH + 0.12, feet=feet)


def crawl(seconds: float = 3.0, speed: float = 0.4) -> np.ndarray:
    """On hands and knees, going forward."""
    gone = speed * np.arange(round(seconds * FPS)) / FPS
    path = np.stack([0 * gone, gone], -1)
    feet = _under(len(gone)) + np.stack([0 * gone, 0 * gone, gone - 0.4], -1)[:, None]
    return act(seconds, path, height=_THIGH + 0.12, feet=feet, lean=1.5)


def lie(seconds: float = 2.0) -> np.ndarray:
    """On the back."""
    motion = act(seconds)
    return motion[..., [0, 2, 1]] * np.array([1, 1, -1], np.float32) + np.array([0, 0.1, 0], np.float32)


def bow(seconds: float = 3.0) -> np.ndarray:
    """Bends the trunk forward and comes back."""
    return act(seconds, lean=1.0 * (ease(seconds, 0.5, 1.1) - ease(seconds, 1.6, 2.3)))


def mirrored(motion: np.ndarray) -> np.ndarray:
    """The mirror image of a motion [T, 22, 3]."""
    return motion[:, MIRROR] * np.array([-1, 1, 1], motion.dtype)


def then(*motions: np.ndarray) -> np.ndarray:
    """One motion after another, each put down where and as the one before it ends, a fifth of a second between."""
    whole = motions[0]
    for motion in motions[1:]:
        here, there = _facing(whole[-1]), _facing(motion[0])
        moved = turned(motion - motion[0, 0] * (1, 0, 1), here - there) + whole[-1, 0] * (1, 0, 1)
        share = np.linspace(0, 1, 6)[1:-1, None, None]
        whole = np.concatenate([whole, whole[-1] * (1 - share) + moved[0] * share, moved])
    return whole.astype(np.float32)


def turned(motion: np.ndarray, angle: float) -> np.ndarray:
    """A motion [T, 22, 3] turned about the y axis of the world by an angle, positive to the left."""
    sin, cos = np.sin(angle), np.cos(angle)
    return motion @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])


def ease(seconds: float, start: float, stop: float) -> np.ndarray:
    """A curve [T] that goes from 0 to 1 between two times, smoothly."""
    part = np.clip((np.arange(round(seconds * FPS)) / FPS - start) / (stop - start), 0, 1)
    return part * part * (3 - 2 * part)


def _facing(pose: np.ndarray) -> float:
    """The heading of a pose [22, 3]."""
    across = pose[_J["left_hip"]] - pose[_J["right_hip"]]
    return float(np.arctan2(-across[2], across[0]))


def _under(frames: int) -> np.ndarray:
    """Ankles [T, 2, 3] of a person who stands at the origin."""
    return np.broadcast_to(np.array([[_HIP, _ANKLE, 0], [-_HIP, _ANKLE, 0]]), (frames, 2, 3)).copy()


def _steps(time: np.ndarray, where: Curve, turning: float, cadence: float, index: int) -> np.ndarray:
    """Places [T, 3] of one ankle: it stands half of the time and then goes to where the body will be."""
    phase = time * cadence / 2 + 0.5 * index
    number, part = np.floor(phase), phase % 1

    def place(step: np.ndarray) -> np.ndarray:
        middle = (step + 0.25 - 0.5 * index) * 2 / cadence
        spot, side = where(middle), _HIP * (1 - 2 * index)
        return spot + side * np.stack([np.cos(turning * middle), -np.sin(turning * middle)], -1)

    swing = np.clip((part - 0.5) * 2, 0, 1)
    swing = swing * swing * (3 - 2 * swing)
    spot = place(number) * (1 - swing)[:, None] + place(number + 1) * swing[:, None]
    return np.stack([spot[:, 0], _ANKLE + 0.12 * np.sin(np.pi * swing), spot[:, 1]], -1)


def _swung(angle: np.ndarray, away: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Directions [T, 3] of a limb that hangs, swung by angles [T] to where `away` [T, 3] points."""
    return np.sin(angle)[:, None] * away - np.cos(angle)[:, None] * up


def _knee(hip: np.ndarray, ankle: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """The knee [T, 3] between hip and ankle, bent forward."""
    line = ankle - hip
    length = np.clip(np.linalg.norm(line, axis=-1, keepdims=True), 0.2, _THIGH + _SHIN - 1e-3)
    line = line / np.maximum(np.linalg.norm(line, axis=-1, keepdims=True), 1e-6)
    along = (_THIGH**2 - _SHIN**2 + length**2) / (2 * length)
    out = ahead - (ahead * line).sum(-1, keepdims=True) * line
    out = out / np.maximum(np.linalg.norm(out, axis=-1, keepdims=True), 1e-6)
    return hip + along * line + np.sqrt(np.maximum(_THIGH**2 - along**2, 0)) * out
