"""Stick figures drawn straight into RGB pixels: 2D motion on fixed axes, 3D motion on a floor.

World of `draw_3d`: the camera frame of MAS, x right, y up, z away from the viewer (left-handed); a viewer at azimuth 0
sees +x on the right. `draw_world` takes right-handed motion and negates its z, so that its viewer at azimuth 0 stands
on +z, where people who face +z look. With azimuth a, elevation e:

    right = x cos a + z sin a,   away = z cos a - x sin a            (the eye walks from -z over +x to +z)
    up = y cos e + away sin e,   depth = away cos e - y sin e,  pixel = centre + focal (right, -up) / (distance + depth)

One turn in 300 frames that goes on over the repeat, lowest point on the floor and subtracted trajectory follow the
published plots of MAS; the lower camera, the perspective, the shadow and the drawn path are ours.
"""

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np

from utils.geometry.skeleton import Skeleton
from utils.geometry.smoothing import gaussian_over_time
from utils.run.errors import DataError, NumericError
from visualize.sticks import lettering
from visualize.sticks.floor import (
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
    limb_shadow,
    loose_joints,
    turned,
)

LEFT, RIGHT, MIDDLE = (0x61, 0xCE, 0xB9), (0x4D, 0x84, 0xAA), (0x8A, 0x96, 0xA3)
LOOSE, MISSING = (0xF0, 0x9A, 0x5B), (0, 0, 0)
PLAIN = {"left": LEFT, "right": RIGHT, "middle": MIDDLE, "loose": LOOSE}
# What was given and what was made, blue and orange as in the published plots of MDM.
GIVEN = {"left": (0x4F, 0xB3, 0xE8), "right": (0x2B, 0x6C, 0xAD), "middle": (0x6E, 0x95, 0xBF), "loose": LOOSE}
MADE = {"left": (0xF2, 0xB0, 0x3A), "right": (0xDD, 0x5A, 0x37), "middle": (0xD6, 0x94, 0x62), "loose": LOOSE}
INK = (0x3F, 0x4A, 0x56)
FRAMES_PER_TURN = 300
ELEVATION = float(np.radians(16.0))
THREE_QUARTER = float(np.radians(35.0))

_BLOCK = 256  # frames whose outlines are held at once: bounds the memory of long clips
_FOLLOW = 6.0  # frames: standard deviation of the Gaussian that smooths the way of a camera behind the root
_ASTRAY = 0.2  # of the figure's height: the most that it may be off the root, however suddenly that moves


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
    colours = np.where(whole[..., None], _palette(skeleton, PLAIN), MISSING)
    radius = LIMB_RADIUS * size * np.where(whole, 1.0, np.repeat([0.15, 0.5], [len(limbs), len(loose)]))
    layers = np.where(whole, _layers(skeleton), -1)
    order = _back_to_front(layers[:, : len(limbs)], layers[:, len(limbs) :], limbs)
    order[~np.take_along_axis(drawable, order, 1)] = -1
    for block in _blocks(range(len(motion)) if frames is None else frames):
        ends = np.repeat(radius[block, : len(limbs), None], 2, axis=2)
        dots = radius[block, len(limbs) :]
        paint = _figure_painter(np.nan_to_num(screen[block]), skeleton, ends, dots, colours[block], order[block])
        yield from _painted([paper] * len(block), paint)


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
    followed = motion[:, list(trajectory_joints) or ~loose_joints(skeleton)].mean(1)
    turning = np.arange(turns * len(motion)) * (2 * np.pi / FRAMES_PER_TURN)
    angles = turning if azimuth is None else np.full(len(turning), float(azimuth))
    colours, titles = _palette(skeleton, PLAIN)[None], [title] * len(motion)
    yield from _scene(motion, followed[:, [0, 2]], skeleton, titles, size, angles, elevation, colours, frames)


def draw_world(
    motion: np.ndarray,
    skeleton: Skeleton,
    title: str | Sequence[str] = "",
    size: int = 480,
    given: np.ndarray | None = None,
    azimuth: float = THREE_QUARTER,
    elevation: float = ELEVATION,
    frames: Sequence[int] | None = None,
) -> Iterator[np.ndarray]:
    """Yield RGB uint8 pictures [size, size, 3] of people who walk through space: motion [T, J, 3], right-handed, y up.

    The camera keeps its direction, `azimuth` from +z towards +x (by default half from the front of someone who faces
    +z), and follows the root smoothly, so that the floor passes below, with the way that is walked drawn on it. The
    lowest joint with a limb stands on the floor; any unit will do. `title` is one for the clip or one a frame. Where
    `given`, bool [T] or [T, J], is told, those joints are blue and the others orange. `frames` picks which frames to
    draw. Raises DataError and NumericError.
    """
    motion, _ = _checked(motion, skeleton, 3, None)
    motion = motion * (1, 1, -1)
    titles = [title] * len(motion) if isinstance(title, str) else list(title)
    if len(titles) != len(motion):
        raise DataError(f"{len(titles)} titles for {len(motion)} frames: one title, or one a frame")
    root, height = motion[:, skeleton.parents.index(-1)], np.median(np.ptp(motion[..., 1], axis=1))
    followed = behind(root[:, [0, 2]], float(height))
    angles, colours = np.full(len(motion), float(azimuth)), _colours(skeleton, given, len(motion))
    yield from _scene(motion, followed, skeleton, titles, size, angles, elevation, colours, frames)


def _scene(
    motion: np.ndarray,
    followed: np.ndarray,
    skeleton: Skeleton,
    titles: Sequence[str],
    size: int,
    angles: np.ndarray,
    elevation: float,
    colours: np.ndarray,
    frames: Sequence[int] | None,
) -> Iterator[np.ndarray]:
    """Draw motion [T, J, 3] with the point `followed` [T, 2] of the floor in the middle, once for each of `angles`.

    The clip is repeated where there are more angles than frames; `titles` has T, `colours` [T or 1, L + J, 3].
    """
    chained = ~loose_joints(skeleton)
    body = motion.copy()
    body[..., [0, 2]] -= followed[:, None]
    body[..., 1] -= motion[:, chained, 1].min()
    played = np.arange(len(angles))
    shown = _to_be_shown(body, chained)[played % len(body)]
    camera = fitted_camera(shown, angles, elevation, size, max(title_height(title, size) for title in set(titles)))
    stage, fade = empty_floor(camera, size)
    stages = {title: write_title(stage.copy(), title) for title in set(titles)}
    colours = np.broadcast_to(colours, (len(body), *colours.shape[1:]))
    for block in _blocks(played if frames is None else frames):
        clip = block % len(body)
        shade = limb_shadow(body[clip], angles[block], skeleton, camera, fade)
        paint_floor = floor_painter(followed, clip, angles[block], camera, fade, shade)
        paint_figure = _solid_painter(body[clip], angles[block], skeleton, camera, size, colours[clip])
        yield from _painted([stages[titles[int(frame)]] for frame in clip], paint_floor, paint_figure)


def behind(root: np.ndarray, height: float) -> np.ndarray:
    """The way [T, 2] of what follows the `root` [T, 2] of a figure of some height, smoothly, and never far astray.

    It is a Gaussian of `_FOLLOW` frames; beyond its ends the root goes on as it came.
    """
    astray = gaussian_over_time(root, _FOLLOW) - root
    length = np.linalg.norm(astray, axis=1, keepdims=True)
    return root + astray * np.minimum(1, _ASTRAY * height / np.maximum(length, 1e-9))


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


def write_title(image: np.ndarray, title: str) -> np.ndarray:
    """Write a title, wrapped and centred, along the upper edge of an RGB picture (in place); the same picture."""
    size = image.shape[1]
    letters = _title_letters(size)
    for row, line in enumerate(_title_lines(title)):
        width = lettering.width_of(line, letters, 400)
        origin = (max(0, (size - width) // 2), round(size * 0.035 + letters * (1 + 1.3 * row)))
        lettering.write(image, line, origin, INK, letters, 400)
    return image


def _title_letters(size: int) -> int:
    return max(6, round(size / 26))


def _title_lines(title: str) -> list[str]:
    return lettering.wrapped(title, 40, 3)


def title_height(title: str, size: int) -> int:
    """How many pixels the lines of a title take at the upper edge of a picture."""
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


def _sides(skeleton: Skeleton) -> list[str]:
    """The side of each limb, then joint: left, right, middle, or loose; a limb has that of its end off the midline."""
    sides = [skeleton.side(joint) for joint in range(len(skeleton.joints))]
    limbs = []
    for a, b in skeleton.edges:
        ends = {sides[a], sides[b]} - {"middle"}
        limbs.append(ends.pop() if len(ends) == 1 else "middle")
    return limbs + ["loose" if loose else side for side, loose in zip(sides, loose_joints(skeleton), strict=True)]


def _palette(skeleton: Skeleton, palette: Mapping[str, tuple[int, int, int]]) -> np.ndarray:
    """Colours [L + J, 3] of limbs, then joints."""
    return np.array([palette[side] for side in _sides(skeleton)]).reshape(-1, 3)


def _colours(skeleton: Skeleton, given: np.ndarray | None, frames: int) -> np.ndarray:
    """Colours [T or 1, L + J, 3]: plain, or by what was given, bool [T] or [T, J]; a limb by both its ends."""
    if given is None:
        return _palette(skeleton, PLAIN)[None]
    given = np.asarray(given, bool)
    if given.shape not in ((frames,), (frames, len(skeleton.joints))):
        raise DataError(f"what is given has shape {given.shape}, but there are {frames} frames")
    given = np.broadcast_to(given.reshape(frames, -1), (frames, len(skeleton.joints)))
    parts = np.concatenate([given[:, limb_pairs(skeleton)].all(-1), given], axis=1)
    return np.where(parts[..., None], _palette(skeleton, GIVEN), _palette(skeleton, MADE))


def _layers(skeleton: Skeleton) -> np.ndarray:
    """What lies on what [L + J] where there is no depth to tell: left on the midline on right, a ball on all."""
    return np.array([("right", "middle", "left", "loose").index(side) for side in _sides(skeleton)])


def _back_to_front(limb_key: np.ndarray, joint_key: np.ndarray, limbs: np.ndarray) -> np.ndarray:
    """The order [F, L + J] of drawing limbs and joints: by key, but a joint always after the limbs that it ends."""
    joint_key = joint_key.copy()
    for limb, ends in enumerate(limbs):
        joint_key[:, ends] = np.maximum(joint_key[:, ends], limb_key[:, limb, None])
    return np.argsort(np.concatenate([limb_key, joint_key], axis=1), axis=1, kind="stable")


def _blocks(frames: Sequence[int] | np.ndarray) -> list[np.ndarray]:
    """Frame numbers in pieces of at most `_BLOCK`."""
    return np.split(np.asarray(frames), range(_BLOCK, len(frames), _BLOCK))


def _painted(backgrounds: Sequence[np.ndarray], *painters: Painter) -> Iterator[np.ndarray]:
    """Yield a fresh copy of the background of each frame of a block, after all painters in turn."""
    for index, background in enumerate(backgrounds):
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


def _solid_painter(
    body: np.ndarray, azimuth: np.ndarray, skeleton: Skeleton, camera: Camera, size: int, colours: np.ndarray
) -> Painter:
    """Draws figures [F, J, 3] in `colours` [F, L + J, 3] from far to near; nearer limbs are thicker and clearer."""
    limbs = limb_pairs(skeleton)
    screen, nearness = camera.project(body, azimuth)
    middles = nearness[:, limbs].mean(-1)
    radius = LIMB_RADIUS * size * nearness**1.5
    haze = np.clip(1.4 * (1.08 - np.concatenate([middles, nearness], axis=1)), 0, 0.45)[..., None]
    colours = colours * (1 - haze) + np.array(PAPER) * haze
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
