"""A picture of a person: read with its keypoints, a body fitted to them, and the body drawn over it."""

import contextlib
import math
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from body.from_joints import lowest
from body.models import load_body
from body.options import BodyOptions
from model.poses.pose_ndf import canonical
from sample.options import PosesOptions
from sample.posing.image_fit import Camera, Fitted, Seen, Weights, fit_keypoints
from sample.posing.landmarks import Figure, figure_of
from sample.posing.results import write_outcomes
from sample.posing.tasks import Outcome
from utils.formats.keypoints.reading import person_of, read_keypoints
from utils.formats.keypoints.tracks import Track
from utils.geometry.body import BodyMotion, vertices_of
from utils.geometry.joint_maps import known_joints
from utils.geometry.mesh import vertex_normals
from utils.geometry.rotations import matrix_to_axis_angle, matrix_to_quaternion
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.files import atomic_write
from utils.run.folders import atomic_folder
from visualize.meshes.light import SKIN, lit, openness, surface_points
from visualize.meshes.raster import open_renderer
from visualize.sticks.floor import PAPER

_BESIDE = ("_keypoints.json", ".json")  # what the keypoints of a picture are called, after its name
_LEAST, _MOST = 16, 20_000  # sides of a picture, in pixels
_OPAQUE = 0.8
_SURE, _FITTED = (0x1F, 0x77, 0xD0), (0xE0, 0x5A, 0x2B)  # colours of keypoints, and of where the body has them


@dataclass(frozen=True)
class Picture:
    """A person in a picture: keypoints, the picture [H, W, 3] in RGB (paper where there is none), and its name."""

    person: Track
    image: np.ndarray
    name: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.image.shape[1], self.image.shape[0]


def fit_picture(
    network: nn.Module, folder: Path, options: PosesOptions, source: BodyOptions, seed: int, checkpoint: Path
) -> list[str]:
    """Fit a body to a picture, write all files of it into a folder, and return the lines that tell of them.

    Raises UsageError, MissingFileError, DataError and NumericError.
    """
    picture = read_picture(options, source)
    made, said = fitted(network, options, source, picture)
    with atomic_folder(folder, options.overwrite) as target:
        write_outcomes(target, [made], options, seed, checkpoint)
        write_overlay(target / "overlay.png", picture, made)
    return [said, f"overlay.png, results.npy, {picture.name}.npz and a GLB of the pose are in {folder}"]


def read_picture(options: PosesOptions, source: BodyOptions) -> Picture:
    """The person of a picture, or of keypoints alone. Raises UsageError, MissingFileError and DataError."""
    path, told = Path(source.input_path), _told_size(options.image_size)
    if path.suffix.lower() == ".json":
        tracks = read_keypoints(path, told)
        person = person_of(tracks, source.person, path)
        size = told or person.size
        if size is None:
            raise UsageError(f"{path} does not say how large the picture was: say --image_size WIDTH HEIGHT, in pixels")
        return Picture(person, np.full((size[1], size[0], 3), PAPER, np.uint8), path.stem)
    image = _image(path)
    keypoints = Path(options.keypoints) if options.keypoints else _beside(path)
    tracks = read_keypoints(keypoints, (image.shape[1], image.shape[0]), path.name)
    return Picture(person_of(tracks, source.person, keypoints), image, path.stem)


def _told_size(words: tuple[str, ...]) -> tuple[int, int] | None:
    """The size that `--image_size` tells, none where it tells nothing. Raises UsageError."""
    if not words:
        return None
    sizes = [int(word) for word in words if word.isdecimal() and _LEAST <= int(word) <= _MOST]
    if len(words) != 2 or len(sizes) != 2:
        raise UsageError(
            f"--image_size {' '.join(words)}: it takes a width and a height, {_LEAST} to {_MOST} pixels each"
        )
    return sizes[0], sizes[1]


def _image(path: Path) -> np.ndarray:
    """A picture [H, W, 3] in RGB. Raises MissingFileError or DataError."""
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist")
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
    if image is None or min(image.shape[:2]) < _LEAST:
        raise DataError(f"{path} is no picture that can be read (PNG or JPEG, of {_LEAST} pixels at least)")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _beside(path: Path) -> Path:
    """The keypoints that lie beside a picture. Raises MissingFileError."""
    names = [path.with_name(path.stem + ending) for ending in _BESIDE]
    found = next((name for name in names if name.is_file()), None)
    if found is None:
        raise MissingFileError(
            f"{path} has no keypoints beside it ({names[0].name} or {names[1].name}): name those that OpenPose, "
            "MediaPipe or a detector with COCO's results found in it with --keypoints"
        )
    return found


def fitted(network: nn.Module, options: PosesOptions, source: BodyOptions, picture: Picture) -> tuple[Outcome, str]:
    """A clip of one frame, the body of a person in a picture with its lowest point on the floor, and how well it fits.

    `told` has what was found beside the pose: shape, orientation and place in the camera's axes (`image_fit`), the
    camera, and the keypoints where they are and where the body has them. Raises DataError.
    """
    model = load_body(source.body)
    figure, camera = figure_of(model), camera_of(picture, options.focal_length)
    seen, names = seen_of(picture.person, figure)
    weights = Weights()
    weights = replace(weights, prior=weights.prior * options.prior_weight)
    fit = fit_keypoints(figure, seen, camera, network, weights)
    body = model.shaped(fit.guess.shape[0].float().numpy())
    rotations, root = fit.guess.rotations.float().numpy(), fit.guess.root.float().numpy()
    motion = BodyMotion(body, rotations, root, options.pose_fps or 1.0, picture.name)
    height = float(lowest(motion)[0])
    motion = replace(motion, root=motion.root - np.array((0, height, 0), np.float32))
    pose = canonical(matrix_to_quaternion(fit.guess.rotations[:, 1:22])).float()
    near = torch.tensor([fit.distance])
    width, high = picture.size
    told = {
        "betas": fit.guess.shape[0].float().numpy(),
        "root_orient": matrix_to_axis_angle(fit.guess.rotations[:, 0]).float().numpy(),
        "trans": root,
        "focal_length": camera.focal,
        "image_size": np.array((width, high)),
        "camera_position": np.array((0.0, -height, 0.0), np.float32),
        "keypoint_names": names,
        "keypoints": torch.cat([seen.pixels, seen.trust[:, None]], 1).float().numpy(),
        "keypoints_of_body": fit.shown.float().numpy(),
    }
    return Outcome(picture.name, pose, pose, near, near, motion, told=told), said_of(fit, seen, names)


def camera_of(picture: Picture, focal: float = 0.0) -> Camera:
    """The camera of a picture: without a focal length, one as long as the diagonal (as CLIFF, Li et al. 2022)."""
    width, height = picture.size
    return Camera(focal or math.hypot(width, height), ((width - 1) / 2, (height - 1) / 2))


def seen_of(person: Track, figure: Figure) -> tuple[Seen, list[str]]:
    """The keypoints of a person's first frame that the figure has points for, and their names. Raises DataError."""
    points = person.points[0]
    known = known_joints(person.joints)
    names = [name for name, row in known.items() if name in figure.places and person.seen[0, row]]
    if not names:
        raise DataError(f"{person.name}: none of the keypoints is a joint of a body ({', '.join(person.joints)[:120]})")
    rows = torch.from_numpy(points[[known[name] for name in names]]).double()
    return Seen(rows[:, :2], rows[:, 2], [figure.places[name] for name in names]), names


def said_of(fit: Fitted, seen: Seen, names: list[str]) -> str:
    """How well keypoints are met, in a sentence."""
    missed = (fit.shown - seen.pixels).norm(dim=-1)
    worst, mean = int(missed.argmax()), float((seen.trust * missed).sum() / seen.trust.sum())
    return (
        f"{len(names)} keypoints are met to {mean:.1f} pixels on average, {names[worst].replace('_', ' ')} to "
        f"{float(missed[worst]):.1f}; the person is {-float(fit.guess.root[0, 2]):.2f} m away, its "
        f"pose {fit.distance:.4f} from plausible ones"
    )


def write_overlay(path: Path, picture: Picture, made: Outcome) -> None:
    """Write a PNG of the picture with the body over it, keypoints as dots, and lines to where the body has them."""
    motion, camera = replace(made.motion, root=made.told["trans"]), camera_of(picture, made.told["focal_length"])
    image = over(picture.image, vertices_of(motion)[0], motion.body.faces, camera)
    width = max(1, round(min(picture.size) / 200))
    for found, shown in zip(made.told["keypoints"], made.told["keypoints_of_body"], strict=True):
        ends = [np.rint(np.clip(point, -1e4, 1e4) * 16).astype(int).tolist() for point in (found[:2], shown)]
        cv2.line(image, ends[0], ends[1], _FITTED, width, cv2.LINE_AA, 4)
        cv2.circle(image, ends[0], 16 * 2 * width, _SURE, -1, cv2.LINE_AA, 4)
    _, content = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    with atomic_write(path) as handle:
        handle.write(content.tobytes())


def over(image: np.ndarray, vertices: np.ndarray, faces: np.ndarray, camera: Camera) -> np.ndarray:
    """A picture [H, W, 3] with a mesh of vertices [V, 3], in the camera's axes, drawn over it."""
    depth = np.maximum(-vertices[:, 2:], 0.1)
    pixels = np.array(camera.centre) + camera.focal * vertices[:, :2] * (1, -1) / depth
    seen = vertices * np.array((1, 1, -1), np.float32)  # viewer's axes: right, up, away
    normals = -vertex_normals(seen, faces)
    corners, shares, area = surface_points(vertices, faces)
    points = np.einsum("pc,pcx->px", shares, seen[corners])
    open_to = openness(points, area, seen, normals, float(np.ptp(vertices, axis=0).max()))
    painted = image.copy()
    with contextlib.closing(open_renderer()[0]) as renderer:
        renderer.paint(painted, pixels, 1 / depth[:, 0], lit(normals, np.array(SKIN), open_to), faces)
    return cv2.addWeighted(painted, _OPAQUE, image, 1 - _OPAQUE, 0)
