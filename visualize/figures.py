"""Stick figures drawn straight into RGB pixels: 2D motion on fixed axes, 3D motion under a turning camera on a floor.

World of `draw_3d`: the camera frame of MAS, x right, y up, z away from the viewer (left-handed); a viewer at azimuth 0
sees +x on the right. Right-handed motion that faces +z is brought into it by negating z. With azimuth a, elevation e:

    right = x cos a + z sin a,   away = z cos a - x sin a            (the eye walks from -z over +x to +z)
    up = y cos e + away sin e,   depth = away cos e - y sin e,  pixel = centre + focal (right, -up) / (distance + depth)

One turn in 300 frames that goes on over the repeat, lowest point on the floor and subtracted trajectory follow the
published plots of MAS; the lower camera, the perspective, the shadow and the drawn path are ours.
"""

import textwrap
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from utils.geometry.skeleton import Skeleton
from utils.run.errors import DataError, NumericError
from visualize.floor import (
    LIMB_RADIUS,
    PAPER,
    SUBPIXEL,
    Camera,
    Painter,
    dot_sizes,
    empty_floor,
    fixed_point,
    floor_painter,
    limb_pairs,
    loose_joints,
    turned,
)

LEFT, RIGHT, MIDDLE = (0x61, 0xCE, 0xB9), (0x4D, 0x84, 0xAA), (0x8A, 0x96, 0xA3)
LOOSE, MISSING = (0xF0, 0x9A, 0x5B), (0, 0, 0)
INK = (0x3F, 0x4A, 0x56)
FRAMES_PER_TURN = 300
ELEVATION = float(np.radians(16.0))

_BLOCK = 256  # frames whose outlines are held at once: bounds the memory of long clips


def draw_2d(
    motion: np.ndarray,
    skeleton: Skeleton,
    title: str = "",
    size: int = 480,
    confidence: np.ndarray | None = None,
    extent: float = 2.5,
    frames: Sequence[int] | None = None,
) -> Iterator[np.ndarray]:
    """Yield RGB uint8 pictures [size, size, 3] of 2D motion [T, J, 2] in the units of the skeleton, y up.

    The axes are +-`extent` after multiplying by `metres_per_unit`, over the whole clip; they widen only where a limb
    would leave them. Joints whose `confidence` [T, J] is 0 are small black dots on black threads, and are left out
    where they are not finite. `frames` picks which frames to draw. Raises DataError and NumericError.
    """
    motion, visible = _checked(motion, skeleton, 2, confidence)
    limbs, loose = limb_pairs(skeleton), loose_joints(skeleton)
    points = motion * skeleton.metres_per_unit
    extent = max(extent, 1.06 * np.abs(points[:, ~loose][visible[:, ~loose]]).max(initial=0.0))
    zoom = size / 2 / extent
    screen = (size - 1) / 2 + points * (zoom, -zoom)
    paper = _axes(size, zoom)
    write_title(paper, title)

    whole = np.concatenate([visible[:, limbs].all(-1), visible], axis=1)  # [T, L + J]
    finite = np.asarray(np.isfinite(screen).all(-1))
    drawable = np.concatenate([finite[:, limbs].all(-1), finite], axis=1)
    colours = np.where(whole[..., None], _colours(skeleton), MISSING)
    radius = LIMB_RADIUS * size * np.where(whole, 1.0, np.repeat([0.15, 0.5], [len(limbs), len(loose)]))
    layers = np.where(whole, _layers(skeleton), -1)
    order = _back_to_front(layers[:, : len(limbs)], layers[:, len(limbs) :], limbs)
    order[~np.take_along_axis(drawable, order, 1)] = -1
    for block in _blocks(range(len(motion)) if frames is None else frames):
        ends = np.repeat(radius[block, : len(limbs), None], 2, axis=2)
        dots = radius[block, len(limbs) :]
        paint = _figure_painter(np.nan_to_num(screen[block]), skeleton, ends, dots, colours[block], order[block])
        yield from _painted(len(block), paper, paint)


def draw_3d(
    motion: np.ndarray,
    skeleton: Skeleton,
    title: str = "",
    size: int = 480,
    trajectory_joints: Sequence[int] = (),
    turns: int = 2,
    azimuth: float | None = None,
    elevation: float = ELEVATION,
    frames: Sequence[int] | None = None,
) -> Iterator[np.ndarray]:
    """Yield RGB uint8 pictures [size, size, 3] of 3D motion [T, J, 3] in any unit, in the camera frame of MAS.

    The clip is played `turns` times while the camera goes on turning, or seen from one `azimuth` (radians) where given.
    The figure stays in the middle: the mean (x, z) of `trajectory_joints` (all joints with limbs by default) moves the
    floor instead, and is drawn on it as a path. The lowest joint with a limb stands on the floor; the scale fits the
    clip and does not change over it. `frames` picks from the T * `turns` frames. Raises DataError and NumericError.
    """
    motion, _ = _checked(motion, skeleton, 3, None)
    chained = ~loose_joints(skeleton)
    trajectory = motion[:, list(trajectory_joints) or chained][..., [0, 2]].mean(1)  # [T, 2]
    body = motion.copy()
    body[..., [0, 2]] -= trajectory[:, None]
    body[..., 1] -= motion[:, chained, 1].min()

    played = np.arange(turns * len(motion))
    angles = played * (2 * np.pi / FRAMES_PER_TURN) if azimuth is None else np.full(len(played), float(azimuth))
    shown = _to_be_shown(body, chained)[played % len(body)]
    camera = fitted_camera(shown, angles, elevation, size, _title_height(title, size))
    stage, fade = empty_floor(camera, size)
    write_title(stage, title)
    for block in _blocks(played if frames is None else frames):
        clip = block % len(body)
        paint_floor = floor_painter(body[clip], trajectory, clip, angles[block], skeleton, camera, fade)
        paint_figure = _solid_painter(body[clip], angles[block], skeleton, camera, size)
        yield from _painted(len(block), stage, paint_floor, paint_figure)


def _to_be_shown(body: np.ndarray, chained: np.ndarray) -> np.ndarray:
    """The points [T, J, 3] that the picture must hold: all joints with limbs, and a ball that is not far off."""
    far = np.abs(body) > 1.3 * np.abs(body[:, chained]).max()
    return np.where((far.any(-1) & ~chained)[..., None], body[:, chained][:, :1], body)


def fitted_camera(
    points: np.ndarray, azimuth: np.ndarray, elevation: float, size: int, title_height: int = 0
) -> Camera:
    """The camera that shows all points [F, K, 3] at their azimuths [F], and the floor below, as large as it can."""
    top, width = points[..., 1].max(), np.hypot(points[..., 0], points[..., 2]).max()
    radius = float(np.hypot(top / 2, width)) or 1.0
    distance = 4.0 * radius
    outline = np.concatenate([points, points * (1, 0, 1)], axis=1) - (0, top / 2, 0)
    right, up, depth = turned(outline, azimuth, elevation)
    across, high = np.abs(right / (distance + depth)).max(), up / (distance + depth)
    room = size * 0.82 - title_height
    focal = min(0.43 * size / max(across, 0.1), room / max(np.ptp(high), 0.1))
    middle = size * 0.09 + title_height + room / 2 + focal * (high.max() + high.min()) / 2
    return Camera(elevation, top / 2, distance, focal, ((size - 1) / 2, middle), 2.8 * radius)


def write_title(image: np.ndarray, title: str) -> None:
    """Write a title, wrapped and centred, along the upper edge of an RGB picture (in place)."""
    size = image.shape[1]
    font, letters = cv2.FontFace("sans"), _title_letters(size)
    for row, line in enumerate(_title_lines(title)):
        _, _, width, _ = cv2.getTextSize((size, size), line, (0, 0), font, letters, 400)
        origin = (max(0, (size - width) // 2), round(size * 0.035 + letters * (1 + 1.3 * row)))
        cv2.putText(image, line, origin, INK, font, letters, 400)


def _title_letters(size: int) -> int:
    return max(6, round(size / 26))


def _title_lines(title: str) -> list[str]:
    return textwrap.wrap(title, 40, max_lines=3, placeholder=" ...")


def _title_height(title: str, size: int) -> int:
    return round(1.3 * _title_letters(size) * len(_title_lines(title)))


def _checked(
    motion: np.ndarray, skeleton: Skeleton, features: int, confidence: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The motion in float64 and which joints [T, J] are visible, or the reason why it cannot be drawn."""
    motion = np.asarray(motion, dtype=np.float64)
    wanted = (len(skeleton.joints), features)
    if motion.ndim != 3 or motion.shape[1:] != wanted or len(motion) == 0:
        raise DataError(
            f"cannot draw motion of shape {motion.shape}: {skeleton.name} needs (frames, {wanted[0]}, {features})"
        )
    visible = np.ones(motion.shape[:2], bool) if confidence is None else np.asarray(confidence) > 0
    if visible.shape != motion.shape[:2]:
        raise DataError(
            f"confidence has shape {visible.shape}, but the motion has frames and joints {motion.shape[:2]}"
        )
    bad = np.argwhere(visible & ~np.isfinite(motion).all(-1))
    if len(bad):
        frame, joint = bad[0]
        raise NumericError(f"joint {skeleton.joints[joint]} is not finite at frame {frame}, so it cannot be drawn")
    return motion, visible


def _colours(skeleton: Skeleton) -> np.ndarray:
    """Colours [L + J, 3] of limbs, then joints; a limb has the side of whichever end is not on the midline."""
    palette = {"left": LEFT, "right": RIGHT, "middle": MIDDLE}
    sides = [skeleton.side(joint) for joint in range(len(skeleton.joints))]
    limbs = []
    for a, b in skeleton.edges:
        ends = {sides[a], sides[b]} - {"middle"}
        limbs.append(palette[ends.pop() if len(ends) == 1 else "middle"])
    joints = [LOOSE if loose else palette[side] for side, loose in zip(sides, loose_joints(skeleton), strict=True)]
    return np.array(limbs + joints).reshape(-1, 3)


def _layers(skeleton: Skeleton) -> np.ndarray:
    """What lies on what [L + J] where there is no depth to tell: left on the midline on right, a ball on all."""
    stack = [RIGHT, MIDDLE, LEFT, LOOSE]
    return np.array([stack.index(tuple(colour)) for colour in _colours(skeleton).tolist()])


def _back_to_front(limb_key: np.ndarray, joint_key: np.ndarray, limbs: np.ndarray) -> np.ndarray:
    """The order [F, L + J] of drawing limbs and joints: by key, but a joint always after the limbs that it ends."""
    joint_key = joint_key.copy()
    for limb, ends in enumerate(limbs):
        joint_key[:, ends] = np.maximum(joint_key[:, ends], limb_key[:, limb, None])
    return np.argsort(np.concatenate([limb_key, joint_key], axis=1), axis=1, kind="stable")


def _blocks(frames: Sequence[int] | np.ndarray) -> list[np.ndarray]:
    """Frame numbers in pieces of at most `_BLOCK`."""
    return np.split(np.asarray(frames), range(_BLOCK, len(frames), _BLOCK))


def _painted(count: int, background: np.ndarray, *painters: Painter) -> Iterator[np.ndarray]:
    """Yield a fresh copy of the background for each frame of a block, after all painters in turn."""
    for index in range(count):
        image = background.copy()
        for paint in painters:
            paint(image, index)
        yield image


def _figure_painter(
    screen: np.ndarray, skeleton: Skeleton, ends: np.ndarray, radius: np.ndarray, colours: np.ndarray, order: np.ndarray
) -> Painter:
    """Draws figures with joints at pixels [F, J, 2] and limbs of radii `ends` [F, L, 2], or `radius` [F, J] for dots.

    `colours` [F, L + J, 3] are of limbs, then joints; `order` [F, L + J] says what is drawn after what (-1: nothing).
    """
    limbs, dots = limb_pairs(skeleton), radius * dot_sizes(skeleton)
    inner, outer = (_capsules(screen[:, limbs], radii) for radii in (ends, ends + _rim(ends)))
    centres, discs, rings = (fixed_point(values).tolist() for values in (screen, dots, dots + _rim(radius)))
    fills, edges = colours.astype(int).tolist(), (colours * 0.6).astype(int).tolist()
    orders = order.tolist()

    def paint(image: np.ndarray, f: int) -> None:
        for part in orders[f]:
            joint = part - len(limbs)
            if joint >= 0:
                cv2.circle(image, centres[f][joint], rings[f][joint], edges[f][part], -1, cv2.LINE_AA, SUBPIXEL)
                cv2.circle(image, centres[f][joint], discs[f][joint], fills[f][part], -1, cv2.LINE_AA, SUBPIXEL)
            elif part >= 0:
                cv2.fillConvexPoly(image, outer[f, part], edges[f][part], cv2.LINE_AA, SUBPIXEL)
                cv2.fillConvexPoly(image, inner[f, part], fills[f][part], cv2.LINE_AA, SUBPIXEL)

    return paint


def _rim(radius: np.ndarray) -> np.ndarray:
    """Width of the dark edge around a limb of a radius, in pixels."""
    return np.maximum(0.3 * radius, 0.8)


def _capsules(centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Outlines [..., 14, 2] in fixed point of the hulls of two discs: centres [..., 2, 2], radii [..., 2]."""
    along = centres[..., 1, :] - centres[..., 0, :]
    length = np.hypot(along[..., 0], along[..., 1])
    nested = length <= np.abs(radii[..., 0] - radii[..., 1])
    radii = np.where(nested[..., None], radii.max(-1, keepdims=True), radii)
    heading = np.arctan2(along[..., 1], along[..., 0])[..., None]
    cosine = (radii[..., 0] - radii[..., 1]) / np.maximum(length, 1e-9)
    tangent = np.arccos(np.clip(cosine, -1, 1))[..., None]
    sweep = np.linspace(-1, 1, 7)
    angles = np.stack([heading + np.pi + sweep * (np.pi - tangent), heading + sweep * tangent], axis=-2)  # [..., 2, 7]
    circles = radii[..., None, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    outline = centres[..., None, :] + circles
    return fixed_point(outline.reshape(*outline.shape[:-3], 14, 2))


def _solid_painter(body: np.ndarray, azimuth: np.ndarray, skeleton: Skeleton, camera: Camera, size: int) -> Painter:
    """Draws figures [F, J, 3] from far to near; nearer limbs are thicker and clearer."""
    limbs = limb_pairs(skeleton)
    screen, nearness = camera.project(body, azimuth)
    middles = nearness[:, limbs].mean(-1)
    radius = LIMB_RADIUS * size * nearness**1.5
    haze = np.clip(1.4 * (1.08 - np.concatenate([middles, nearness], axis=1)), 0, 0.45)[..., None]
    colours = _colours(skeleton) * (1 - haze) + np.array(PAPER) * haze
    order = _back_to_front(middles, nearness, limbs)
    return _figure_painter(screen, skeleton, radius[:, limbs], radius, colours, order)


def _axes(size: int, zoom: float) -> np.ndarray:
    """Paper [size, size, 3] with faint lines at every half unit from the origin, whole units stronger."""
    image = np.full((size, size, 3), PAPER, np.uint8)
    centre, steps = (size - 1) / 2, int(size / zoom)
    for step in sorted(range(-steps, steps + 1), key=lambda k: k % 2 == 0):
        at = int(fixed_point(np.array(centre + step * zoom / 2)))
        shade = tuple(int(c) - (14 if step % 2 == 0 else 7) for c in PAPER)
        far = size << SUBPIXEL
        cv2.line(image, (at, 0), (at, far), shade, 1, cv2.LINE_AA, SUBPIXEL)
        cv2.line(image, (0, at), (far, at), shade, 1, cv2.LINE_AA, SUBPIXEL)
    return image
