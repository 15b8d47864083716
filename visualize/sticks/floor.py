"""The camera that circles a figure, and the floor it stands on: grid, shadow, the path drawn behind it.

Equations and axes: see `visualize.sticks.figures`, whose world this is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from utils.geometry.skeleton import Skeleton

PAPER, FLOOR = (0xF7, 0xF8, 0xFA), (0xDF, 0xE5, 0xE9)
SUBPIXEL = 4  # fractional bits of OpenCV's coordinates
LIMB_RADIUS = 0.0088  # as a share of the picture's size
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


def fixed_point(pixels: np.ndarray) -> np.ndarray:
    """Pixels as OpenCV's integers with fractional bits."""
    return np.rint(np.clip(pixels, -4000, 4000) * (1 << SUBPIXEL)).astype(np.int32)


def limb_pairs(skeleton: Skeleton) -> np.ndarray:
    """Pairs of joints [L, 2]."""
    return np.array(skeleton.edges, dtype=int).reshape(-1, 2)


def loose_joints(skeleton: Skeleton) -> np.ndarray:
    """Which joints [J] are in no chain, such as a ball (none of them where there is no chain at all)."""
    loose = np.ones(len(skeleton.joints), bool)
    loose[limb_pairs(skeleton).ravel()] = False
    return loose & (not loose.all())


def dot_sizes(skeleton: Skeleton) -> np.ndarray:
    """Radii [J] of the joints' dots in radii of a limb."""
    heads = [name.lower() == "head" for name in skeleton.joints]
    return np.where(loose_joints(skeleton), 2.6, np.where(heads, 2.3, 1.25))


def empty_floor(camera: Camera, size: int) -> tuple[np.ndarray, np.ndarray]:
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


def horizon(fade: np.ndarray) -> int:
    """The first row of the picture in which any of the floor is seen."""
    return int(np.argmax(fade.any(1)))


def floor_painter(
    trajectory: np.ndarray, clip: np.ndarray, azimuth: np.ndarray, camera: Camera, fade: np.ndarray, shade: Painter
) -> Painter:
    """Draws grid, path of the trajectory [T, 2] and shadow at frames `clip` [F] of it.

    `shade` draws the shadow of a frame as darkness into a black image [rows, columns], uint8, of the picture from the
    `horizon` of `fade` down, at half the pixels.
    """
    size, top = len(fade), horizon(fade)
    rows = slice(top, size)
    fade = np.ascontiguousarray(fade[rows])
    dark, tint = np.zeros_like(fade), np.zeros((*fade.shape, 3), np.uint8)
    half = np.zeros(((len(fade) + 1) // 2, (size + 1) // 2), np.uint8)
    offset = np.array((0, top))
    grid = fixed_point(camera.project(_grid_lines(trajectory[clip], camera), azimuth)[0] - offset)
    moves = np.ptp(trajectory, axis=0).max() > 0.1 * camera.reach

    def paint(image: np.ndarray, f: int) -> None:
        dark.fill(0)
        half.fill(0)
        cv2.polylines(dark, grid[f], False, _GRID, 1, cv2.LINE_AA, SUBPIXEL)
        if moves:
            for part, level in _path_pieces(trajectory, clip[f], azimuth[f : f + 1], camera, offset):
                cv2.polylines(dark, [part], False, level, max(1, size // 200), cv2.LINE_AA, SUBPIXEL)
        shade(half, f)
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
    points = fixed_point(camera.project(floor, azimuth)[0][0] - offset)
    here, pieces = frame - start, 6
    yield points[here:], _PATH_AHEAD
    for age in range(pieces, 0, -1):
        first, last = (here - steps_back * _PATH_FRAMES // pieces for steps_back in (age, age - 1))
        if last > 0:
            yield points[max(0, first) : last + 1], _PATH_BEHIND * (pieces + 1 - age) // pieces


def limb_shadow(body: np.ndarray, azimuth: np.ndarray, skeleton: Skeleton, camera: Camera, fade: np.ndarray) -> Painter:
    """Draws the shadow that limbs and joints [F, J, 3] cast straight below, for `floor_painter`.

    The nearer to the floor the darker, so that a foot is seen to touch it; faint ones come first.
    """
    size, offset = len(fade), np.array((0, horizon(fade)))
    joints, soft = np.arange(len(skeleton.joints)), max(3, size // 80 | 1)
    pairs = np.concatenate([limb_pairs(skeleton), np.stack([joints, joints], axis=1)])
    pixels, nearness = camera.project(body * (1, 0, 1), azimuth)
    height = np.clip(body[:, pairs, 1].mean(-1) / (2 * camera.height + 1e-9), 0, 1)
    level = 10 + _SHADOW * (1 - height) ** 2
    thickness = np.concatenate([np.ones(len(pairs) - len(joints)), dot_sizes(skeleton)])
    width = 1.6 * LIMB_RADIUS * size * nearness[:, pairs].mean(-1) * thickness
    ends, order = fixed_point((pixels - offset)[:, pairs] / 2).tolist(), np.argsort(level, axis=1).tolist()
    levels, widths = level.astype(int).tolist(), np.maximum(np.rint(width), 1).astype(int).tolist()

    def shade(half: np.ndarray, f: int) -> None:
        for k in order[f]:
            start, end = ends[f][k]
            cv2.line(half, start, end, levels[f][k], widths[f][k], cv2.LINE_8, SUBPIXEL)
        for _ in range(2):
            cv2.blur(half, (soft, soft), dst=half)

    return shade
