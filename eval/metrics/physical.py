"""Physical metrics of motion clips: how fast, how smooth, how steady the bones, how varied. Pure functions.

A clip is [T, J, 2 or 3] in metres, root-relative; `fps` frames a second. Frequencies are split with the discrete
cosine transform, which assumes no jump between the clip's end and its start. How feet and floor fit (`world_figures`)
is told of clips [T, J, 3] in the world, y up.
"""

from collections.abc import Sequence

import numpy as np

from body.motion.legs import feet_of
from utils.geometry.contacts import feet_contacts, penetration, sliding
from utils.geometry.skeleton import Skeleton
from utils.geometry.smoothing import derivative
from utils.run.errors import DataError

STILL = 0.05  # metres a second: slower clips count as standing still
SWIFT, SLOW = 4.0, 0.5  # Hz: motion lies below the first, change of action or heading below the second
STEP = 0.01  # metres a frame: a foot that moves less in the true motion stands
SOLE, TOE = 0.08, 0.04  # metres above the floor at which an ankle, and a toe or hoof, no longer skates
MIN_FRAMES = 4  # that have a third difference


def band(clip: np.ndarray, fps: float, below: float) -> np.ndarray:
    """The part of a clip that changes more slowly than `below` Hz (cosine components; the mean stays)."""
    mirrored = np.concatenate([clip, clip[::-1]])
    spectrum = np.fft.rfft(mirrored, axis=0)
    spectrum[np.fft.rfftfreq(len(mirrored), 1 / fps) > below] = 0
    return np.fft.irfft(spectrum, len(mirrored), axis=0)[: len(clip)]


def clip_figures(clip: np.ndarray, fps: float) -> dict[str, float]:
    """Speed, speed below 4 Hz, acceleration, jerk, amplitude of change below 0.5 Hz of one clip."""
    slow = band(clip, fps, SLOW)
    return {
        "speed": derivative(clip, fps, 1),
        "speed_below_4hz": derivative(band(clip, fps, SWIFT), fps, 1),
        "acceleration": derivative(clip, fps, 2),
        "jerk": derivative(clip, fps, 3),
        "slow_change": float(np.sqrt(np.square(slow - slow.mean(0)).sum(-1).mean())),
    }


def bone_figures(clip: np.ndarray, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Variation over time (standard deviation / mean) of each bone, and left-right difference of each pair of bones.

    The second is |median left - median right| / their mean. Both as shares of 1; 3D clips only.
    """
    children = [joint for joint, parent in enumerate(skeleton.parents) if parent >= 0]
    lengths = np.linalg.norm(clip[:, children] - clip[:, [skeleton.parents[joint] for joint in children]], axis=-1)
    variation = lengths.std(0) / np.maximum(lengths.mean(0), 1e-8)
    median = dict(zip(children, np.median(lengths, axis=0), strict=True))
    pairs = [(joint, skeleton.mirror[joint]) for joint in children if skeleton.side(joint) == "left"]
    difference = [
        abs(median[left] - median[right]) / max((median[left] + median[right]) / 2, 1e-8) for left, right in pairs
    ]
    return variation, np.array(difference)


def diversity(clips: Sequence[np.ndarray]) -> float:
    """Mean distance of a joint between two different clips, frame by frame over the length of the shortest."""
    frames = min(map(len, clips))
    stacked = np.stack([clip[:frames] for clip in clips])
    total = sum(
        np.linalg.norm(stacked[i + 1 :] - stacked[i], axis=-1).mean((1, 2)).sum() for i in range(len(stacked) - 1)
    )
    return float(total / max(1, len(stacked) * (len(stacked) - 1) / 2))


def summary(clips: Sequence[np.ndarray], fps: float, skeleton: Skeleton) -> dict[str, float]:
    """All metrics of a set of clips: means over the clips; bones as median and 90th percentile, in per cent."""
    each = [clip_figures(clip, fps) for clip in clips]
    result = {name: float(np.mean([metrics[name] for metrics in each])) for name in each[0]}
    result["still_percent"] = 100 * float(np.mean([metrics["speed"] < STILL for metrics in each]))
    result["diversity"] = diversity(clips)
    if clips[0].shape[-1] == 3:
        variation, asymmetry = (
            np.concatenate(part) for part in zip(*(bone_figures(clip, skeleton) for clip in clips), strict=True)
        )
        for name, values in (("bones", variation), ("asymmetry", asymmetry)):
            result[f"{name}_median_percent"] = 100 * float(np.median(values))
            result[f"{name}_p90_percent"] = 100 * float(np.percentile(values, 90))
    return result


def facing_aligned(clip: np.ndarray, skeleton: Skeleton, left: str, right: str) -> np.ndarray:
    """A 3D clip rotated about y so that the line from joint `right` to `left`, on average over time, lies along +x."""
    across = (clip[:, skeleton.index(left)] - clip[:, skeleton.index(right)]).mean(0)
    angle = np.arctan2(across[2], across[0])
    turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]], clip.dtype)
    return clip @ turn


def nearest_labels(clips: Sequence[np.ndarray], known: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Label of the nearest of the `known` feature rows [N, D] for each clip's feature row [D] in `clips`."""
    features = np.stack(clips).astype(np.float32)
    squared = np.square(known).sum(1) - 2 * features @ known.T
    return labels[squared.argmin(1)]


def world_figures(
    clip: np.ndarray, fps: float, skeleton: Skeleton, floor: float = 0.0, contacts: np.ndarray | None = None
) -> dict[str, float]:
    """How a clip [T, J, 3] in the world, metres, y up, fits its floor, its bones and the laws of motion.

    - `jitter`: mean length of the joints' third time derivative / 10 (10 m/s^3; GVHMR, Shen et al. 2024).
    - `floating`, `penetration`: how far the lowest joint is above and below the floor, cm, means over all frames, those
      of jumps too; joints stand for the mesh of PhysDiff (Yuan et al. 2023, section 4), whose soles lie lower.
    - `bone_variation`: standard deviation over time / mean of a bone's length, per cent, mean over bones.
    - `foot_sliding`: how far the foot that carries moves, mm a frame (`contacts.sliding`); with `contacts`, bool
      [T, K], which say which joints of `foot_joints` stand, what `slide` tells of those.
    - `foot_skating`: see `skating`. Both are left out where no joint is a foot.
    - `contact_consistency`: share of 1 of the labels in `contacts` that agree with `feet_contacts`, if given.

    Raises DataError for a clip of another shape, of fewer than 4 frames, or with values that are not finite.
    """
    clip = _clip(clip, skeleton)
    lowest = clip[..., 1].min(1) - floor
    metrics = {
        "jitter": derivative(clip, fps, 3) / 10,
        "floating": 100 * float(np.maximum(lowest, 0).mean()),
        "penetration": 100 * penetration(clip, range(clip.shape[1]), np.zeros(clip.shape[1]).tolist(), floor),
        "bone_variation": 100 * float(bone_figures(clip, skeleton)[0].mean()),
    }
    feet = feet_of(skeleton.joints)
    if not feet:
        return metrics
    metrics["foot_sliding"] = 1000 * sliding(clip, fps, [(foot[0], foot[-1]) for foot in feet]) / fps
    metrics["foot_skating"] = skating(clip, skeleton, floor)
    if contacts is not None:
        joints, labels = foot_joints(skeleton), _labels(contacts, clip, skeleton)
        metrics["foot_sliding"] = slide(clip[:, joints], labels[1:] & labels[:-1])
        metrics["contact_consistency"] = float((feet_contacts(clip, fps, feet)[:, joints] == labels).mean())
    return metrics


def foot_joints(skeleton: Skeleton) -> list[int]:
    """The joints that may stand, in the order of contact labels: left ankle and toe, right ankle and toe; or hooves."""
    return [joint for foot in feet_of(skeleton.joints) for joint in foot]


def slide(points: np.ndarray, standing: np.ndarray) -> float:
    """Mean way of points [T, K, 3] over the steps at which they should stand, bool [T - 1, K], in mm a frame.

    GVHMR and WHAM take `standing_steps` of the true motion. 0 where nothing stands.
    """
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    return 1000 * float(steps[standing].mean()) if standing.any() else 0.0


def standing_steps(points: np.ndarray, step: float = STEP) -> np.ndarray:
    """The steps at which points [T, K, 3] of a true motion stand, bool [T - 1, K]: those of less than 1 cm a frame."""
    return np.linalg.norm(np.diff(points, axis=0), axis=-1) < step


def skating(clip: np.ndarray, skeleton: Skeleton, floor: float = 0.0) -> float:
    """Mean horizontal way of all foot joints, mm a frame, that weighs the less the higher they are (`fs` of SMPLit).

    The weight is 2 - 2^(h / H) (Zhang et al. 2018), from 1 on the floor to 0 at H: 8 cm for ankles, 4 cm for toes and
    hooves; h is the height at the end of a step.
    """
    ankles = {foot[0] for foot in feet_of(skeleton.joints) if "hoof" not in skeleton.joints[foot[0]].lower()}
    joints = foot_joints(skeleton)
    limit = np.array([SOLE if joint in ankles else TOE for joint in joints])
    points = clip[:, joints]
    weight = 2 - 2 ** np.clip((points[1:, :, 1] - floor) / limit, 0, 1)
    return 1000 * float((np.linalg.norm(np.diff(points[..., [0, 2]], axis=0), axis=-1) * weight).mean())


def _clip(clip: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """A clip in the world as finite float64."""
    clip, joints = np.asarray(clip, np.float64), len(skeleton.joints)
    if clip.ndim != 3 or clip.shape[1:] != (joints, 3):
        raise DataError(f"figures in the world need clips [frames, {joints}, 3], and this is {list(clip.shape)}")
    if len(clip) < MIN_FRAMES:
        raise DataError(f"figures in the world need at least {MIN_FRAMES} frames, and there are {len(clip)}")
    if not np.isfinite(clip).all():
        raise DataError("a clip holds NaN or infinity, and every position must be finite")
    return clip


def _labels(contacts: np.ndarray, clip: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    labels, wanted = np.asarray(contacts), (len(clip), len(foot_joints(skeleton)))
    if labels.shape != wanted or not np.isin(labels, (0, 1)).all():
        raise DataError(
            f"contacts are {list(wanted)} values of 0 or 1, one for each joint of a foot, and these are not"
        )
    return labels.astype(bool)
