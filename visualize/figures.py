"""Stick figures drawn straight into RGB pixels: 2D motion on fixed axes, 3D motion under a turning camera on a floor.

World of `draw_3d`: the camera frame of MAS, x right, y up, z away from the viewer (left-handed); a viewer at azimuth 0
sees +x on the right. Right-handed motion that faces +z is brought into it by negating z. With azimuth a, elevation e:

    right = x cos a + z sin a,   away = z cos a - x sin a            (the eye walks from -z over +x to +z)
    up = y cos e + away sin e,   depth = away cos e - y sin e,  pixel = centre + focal (right, -up) / (distance + depth)

One turn in 300 frames that goes on over the repeat, lowest point on the floor and subtracted trajectory follow the
published plots of MAS; the lower camera, the perspective, the shadow and the drawn path are ours.
"""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from utils.geometry.skeleton import Skeleton
from utils.run.errors import DataError, NumericError

LEFT, RIGHT, MIDDLE = (0x61, 0xCE, 0xB9), (0x4D, 0x84, 0xAA), (0x8A, 0x96, 0xA3)
LOOSE, MISSING = (0xF0, 0x9A, 0x5B), (0, 0, 0)
INK, PAPER, FLOOR = (0x3F, 0x4A, 0x56), (0xF7, 0xF8, 0xFA), (0xDF, 0xE5, 0xE9)
FRAMES_PER_TURN = 300
ELEVATION = float(np.radians(16.0))

_SUBPIXEL = 4  # fractional bits of OpenCV's coordinates
_BLOCK = 256  # frames whose outlines are held at once: bounds the memory of long clips
_LIMB_RADIUS = 0.0088  # as a share of the picture's size
_PATH_FRAMES = 120  # of the path that are drawn, before and after the present one
_GRID, _PATH_AHEAD, _PATH_BEHIND, _SHADOW = 24, 30, 80, 100  # what each takes from the floor's brightness

Painter = Callable[[np.ndarray, int], None]  # draws one frame of a block into an image


@dataclass(frozen=True)
class Camera:
    """A camera that circles the upright axis: looks at `height` on it from `distance`; `focal` and `centre` in pixels.

    `reach` is the radius of the floor that is drawn, in units of the motion like `height` and `distance`.
    """

    elevation: float
    height: float
    distance: float
    focal: float
    centre: tuple[float, float]
    reach: float

    def project(self, points: np.ndarray, azimuth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [F, ..., 2] and nearness [F, ...] (1 at the axis) of points [F, ..., 3] seen from azimuths [F]."""
        right, up, depth = turned(points - (0, self.height, 0), azimuth, self.elevation)
        scale = self.focal / (self.distance + depth)
        pixels = np.stack([self.centre[0] + right * scale, self.centre[1] - up * scale], axis=-1)
        return pixels, scale * (self.distance / self.focal)


def turned(points: np.ndarray, azimuth: np.ndarray, elevation: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right, up and depth [F, ...] of points [F, ..., 3] for a viewer at azimuths [F] (the module's equations)."""
    azimuth = azimuth.reshape(-1, *[1] * (points.ndim - 2))
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    right, away = x * np.cos(azimuth) + z * np.sin(azimuth), z * np.cos(azimuth) - x * np.sin(azimuth)
    return right, y * np.cos(elevation) + away * np.sin(elevation), away * np.cos(elevation) - y * np.sin(elevation)


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
    limbs, loose = _limbs(skeleton), _loose_joints(skeleton)
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
    radius = _LIMB_RADIUS * size * np.where(whole, 1.0, np.repeat([0.15, 0.5], [len(limbs), len(loose)]))
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
    chained = ~_loose_joints(skeleton)
    trajectory = motion[:, list(trajectory_joints) or chained][..., [0, 2]].mean(1)  # [T, 2]
    body = motion.copy()
    body[..., [0, 2]] -= trajectory[:, None]
    body[..., 1] -= motion[:, chained, 1].min()

    played = np.arange(turns * len(motion))
    angles = played * (2 * np.pi / FRAMES_PER_TURN) if azimuth is None else np.full(len(played), float(azimuth))
    shown = _to_be_shown(body, chained)[played % len(body)]
    camera = fitted_camera(shown, angles, elevation, size, _title_height(title, size))
    stage, fade = _stage(camera, size)
    write_title(stage, title)
    for block in _blocks(played if frames is None else frames):
        clip = block % len(body)
        paint_floor = _floor_painter(body[clip], trajectory, clip, angles[block], skeleton, camera, fade)
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


def _limbs(skeleton: Skeleton) -> np.ndarray:
    """Pairs of joints [L, 2]."""
    return np.array(skeleton.edges, dtype=int).reshape(-1, 2)


def _loose_joints(skeleton: Skeleton) -> np.ndarray:
    """Which joints [J] are in no chain, such as a ball (none of them where there is no chain at all)."""
    loose = np.ones(len(skeleton.joints), bool)
    loose[_limbs(skeleton).ravel()] = False
    return loose & (not loose.all())


def _colours(skeleton: Skeleton) -> np.ndarray:
    """Colours [L + J, 3] of limbs, then joints; a limb has the side of whichever end is not on the midline."""
    palette = {"left": LEFT, "right": RIGHT, "middle": MIDDLE}
    sides = [skeleton.side(joint) for joint in range(len(skeleton.joints))]
    limbs = []
    for a, b in skeleton.edges:
        ends = {sides[a], sides[b]} - {"middle"}
        limbs.append(palette[ends.pop() if len(ends) == 1 else "middle"])
    joints = [LOOSE if loose else palette[side] for side, loose in zip(sides, _loose_joints(skeleton), strict=True)]
    return np.array(limbs + joints).reshape(-1, 3)


def _layers(skeleton: Skeleton) -> np.ndarray:
    """What lies on what [L + J] where there is no depth to tell: left on the midline on right, a ball on all."""
    stack = [RIGHT, MIDDLE, LEFT, LOOSE]
    return np.array([stack.index(tuple(colour)) for colour in _colours(skeleton).tolist()])


def _dot_sizes(skeleton: Skeleton) -> np.ndarray:
    """Radii [J] of the joints' dots in radii of a limb."""
    heads = [name.lower() == "head" for name in skeleton.joints]
    return np.where(_loose_joints(skeleton), 2.6, np.where(heads, 2.3, 1.25))


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
    limbs, dots = _limbs(skeleton), radius * _dot_sizes(skeleton)
    inner, outer = (_capsules(screen[:, limbs], radii) for radii in (ends, ends + _rim(ends)))
    centres, discs, rings = (_fixed_point(values).tolist() for values in (screen, dots, dots + _rim(radius)))
    fills, edges = colours.astype(int).tolist(), (colours * 0.6).astype(int).tolist()
    orders = order.tolist()

    def paint(image: np.ndarray, f: int) -> None:
        for part in orders[f]:
            joint = part - len(limbs)
            if joint >= 0:
                cv2.circle(image, centres[f][joint], rings[f][joint], edges[f][part], -1, cv2.LINE_AA, _SUBPIXEL)
                cv2.circle(image, centres[f][joint], discs[f][joint], fills[f][part], -1, cv2.LINE_AA, _SUBPIXEL)
            elif part >= 0:
                cv2.fillConvexPoly(image, outer[f, part], edges[f][part], cv2.LINE_AA, _SUBPIXEL)
                cv2.fillConvexPoly(image, inner[f, part], fills[f][part], cv2.LINE_AA, _SUBPIXEL)

    return paint


def _fixed_point(pixels: np.ndarray) -> np.ndarray:
    """Pixels as OpenCV's integers with fractional bits."""
    return np.rint(np.clip(pixels, -4000, 4000) * (1 << _SUBPIXEL)).astype(np.int32)


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
    return _fixed_point(outline.reshape(*outline.shape[:-3], 14, 2))


def _solid_painter(body: np.ndarray, azimuth: np.ndarray, skeleton: Skeleton, camera: Camera, size: int) -> Painter:
    """Draws figures [F, J, 3] from far to near; nearer limbs are thicker and clearer."""
    limbs = _limbs(skeleton)
    screen, nearness = camera.project(body, azimuth)
    middles = nearness[:, limbs].mean(-1)
    radius = _LIMB_RADIUS * size * nearness**1.5
    haze = np.clip(1.4 * (1.08 - np.concatenate([middles, nearness], axis=1)), 0, 0.45)[..., None]
    colours = _colours(skeleton) * (1 - haze) + np.array(PAPER) * haze
    order = _back_to_front(middles, nearness, limbs)
    return _figure_painter(screen, skeleton, radius[:, limbs], radius, colours, order)


def _axes(size: int, zoom: float) -> np.ndarray:
    """Paper [size, size, 3] with faint lines at every half unit from the origin, whole units stronger."""
    image = np.full((size, size, 3), PAPER, np.uint8)
    centre, steps = (size - 1) / 2, int(size / zoom)
    for step in sorted(range(-steps, steps + 1), key=lambda k: k % 2 == 0):
        at = int(_fixed_point(np.array(centre + step * zoom / 2)))
        shade = tuple(int(c) - (14 if step % 2 == 0 else 7) for c in PAPER)
        far = size << _SUBPIXEL
        cv2.line(image, (at, 0), (at, far), shade, 1, cv2.LINE_AA, _SUBPIXEL)
        cv2.line(image, (0, at), (far, at), shade, 1, cv2.LINE_AA, _SUBPIXEL)
    return image


def _stage(camera: Camera, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The empty floor [size, size, 3] and how clearly it is seen [size, size] (uint8): it fades into the paper."""
    across, down = ((np.arange(size) - centre) / camera.focal for centre in camera.centre)
    sine, cosine = np.sin(camera.elevation), np.cos(camera.elevation)
    falling = sine + down * cosine
    ray = (camera.height + camera.distance * sine) / np.maximum(falling, 1e-6)  # its depth where it meets the floor
    away = (ray - camera.distance) * cosine - ray * down * sine
    clear = 1 - np.hypot(ray[:, None] * across, away[:, None]) / camera.reach
    clear = np.clip(np.where(falling[:, None] > 0, clear, 0), 0, 1)
    clear = (clear * clear * (3 - 2 * clear)).astype(np.float32)
    stage = np.array(PAPER, np.float32) - clear[..., None] * np.subtract(PAPER, FLOOR).astype(np.float32)
    return np.rint(stage).astype(np.uint8), np.rint(clear * 255).astype(np.uint8)


def _floor_painter(
    body: np.ndarray,
    trajectory: np.ndarray,
    clip: np.ndarray,
    azimuth: np.ndarray,
    skeleton: Skeleton,
    camera: Camera,
    fade: np.ndarray,
) -> Painter:
    """Draws grid, path of the trajectory [T, 2] and shadow below figures [F, J, 3] at frames `clip` [F] of it."""
    size = len(fade)
    rows = slice(int(np.argmax(fade.any(1))), size)
    fade = np.ascontiguousarray(fade[rows])
    dark, tint = np.zeros_like(fade), np.zeros((*fade.shape, 3), np.uint8)
    half = np.zeros(((len(fade) + 1) // 2, (size + 1) // 2), np.uint8)
    offset, soft = np.array((0, rows.start)), max(3, size // 80 | 1)
    grid = _fixed_point(camera.project(_grid_lines(trajectory[clip], camera), azimuth)[0] - offset)
    shadow_of = _shadows(body, azimuth, skeleton, camera, size, offset)
    moves = np.ptp(trajectory, axis=0).max() > 0.1 * camera.reach

    def paint(image: np.ndarray, f: int) -> None:
        dark.fill(0)
        half.fill(0)
        cv2.polylines(dark, grid[f], False, _GRID, 1, cv2.LINE_AA, _SUBPIXEL)
        if moves:
            for part, level in _path_pieces(trajectory, clip[f], azimuth[f : f + 1], camera, offset):
                cv2.polylines(dark, [part], False, level, max(1, size // 200), cv2.LINE_AA, _SUBPIXEL)
        for start, end, level, width in shadow_of(f):
            cv2.line(half, start, end, level, width, cv2.LINE_8, _SUBPIXEL)
        for _ in range(2):
            cv2.blur(half, (soft, soft), dst=half)
        cv2.add(dark, cv2.resize(half, (2 * half.shape[1], 2 * half.shape[0]))[: len(dark), :size], dst=dark)
        cv2.multiply(dark, fade, dst=dark, scale=1 / 255)
        cv2.cvtColor(dark, cv2.COLOR_GRAY2RGB, dst=tint)
        cv2.subtract(image[rows], tint, dst=image[rows])

    return paint


def _grid_lines(trajectory: np.ndarray, camera: Camera) -> np.ndarray:
    """Ends [F, N, 2, 3] of the lines of a square grid around figures at `trajectory` [F, 2], cut off at the reach.

    The cells are a round number (1, 2 or 5 times a power of ten) of units wide; the grid stands still in the world.
    """
    wanted = camera.reach / 5
    decade = 10.0 ** np.floor(np.log10(wanted))
    cell = decade * max(step for step in (1, 2, 5) if step * decade <= 1.001 * wanted)
    count = int(2 * camera.reach / cell) + 1
    lines = []
    for axis in (0, 1):
        first = np.ceil((trajectory[:, axis] - camera.reach) / cell)
        across = (first[:, None] + np.arange(count)) * cell - trajectory[:, axis, None]  # [F, N]
        along = np.sqrt(np.maximum(camera.reach**2 - across**2, 0))
        ends = np.zeros((*across.shape, 2, 3))
        ends[..., 2 * axis] = across[..., None]
        ends[..., 2 - 2 * axis] = along[..., None] * (-1, 1)
        lines.append(ends)
    return np.concatenate(lines, axis=1)


def _path_pieces(
    trajectory: np.ndarray, frame: int, azimuth: np.ndarray, camera: Camera, offset: np.ndarray
) -> Iterator[tuple[np.ndarray, int]]:
    """Pieces [P, 2] in fixed point and darkness of the path: what lies ahead, then what lies behind, oldest first.

    What lies behind fades out, so that a long dance does not blacken the floor.
    """
    start = max(0, frame - _PATH_FRAMES)
    steps = trajectory[start : frame + _PATH_FRAMES + 1] - trajectory[frame]
    steps /= np.maximum(1, np.hypot(steps[:, :1], steps[:, 1:]) / camera.reach)
    floor = np.zeros((1, len(steps), 3))
    floor[0, :, [0, 2]] = steps.T
    points = _fixed_point(camera.project(floor, azimuth)[0][0] - offset)
    here, pieces = frame - start, 6
    yield points[here:], _PATH_AHEAD
    for age in range(pieces, 0, -1):
        first, last = (here - steps_back * _PATH_FRAMES // pieces for steps_back in (age, age - 1))
        if last > 0:
            yield points[max(0, first) : last + 1], _PATH_BEHIND * (pieces + 1 - age) // pieces


def _shadows(
    body: np.ndarray, azimuth: np.ndarray, skeleton: Skeleton, camera: Camera, size: int, offset: np.ndarray
) -> Callable[[int], Iterator[tuple]]:
    """Start, end, darkness and width of the limbs and joints of a frame straight below, at half the pixels.

    The nearer to the floor the darker, so that a foot is seen to touch it; faint ones come first.
    """
    joints = np.arange(len(skeleton.joints))
    pairs = np.concatenate([_limbs(skeleton), np.stack([joints, joints], axis=1)])
    pixels, nearness = camera.project(body * (1, 0, 1), azimuth)
    height = np.clip(body[:, pairs, 1].mean(-1) / (2 * camera.height + 1e-9), 0, 1)
    level = 10 + _SHADOW * (1 - height) ** 2
    thickness = np.concatenate([np.ones(len(pairs) - len(joints)), _dot_sizes(skeleton)])
    width = 1.6 * _LIMB_RADIUS * size * nearness[:, pairs].mean(-1) * thickness
    ends, order = _fixed_point((pixels - offset)[:, pairs] / 2).tolist(), np.argsort(level, axis=1).tolist()
    levels, widths = level.astype(int).tolist(), np.maximum(np.rint(width), 1).astype(int).tolist()
    return lambda f: ((*ends[f][k], levels[f][k], widths[f][k]) for k in order[f])
