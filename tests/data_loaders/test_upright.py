"""The 3D side of clips that are otherwise seen as 2D: upright, turned as the camera turns, normalised."""

import dataclasses

import numpy as np
import pytest
import torch

from data_loaders.points import projections, upright
from data_loaders.points.keypoints import denormalise
from data_loaders.points.projections import see
from tests.people import ALL_VARIATIONS, BODY, SPEC, counting, moving, record, write_folder
from utils.geometry.cameras import Camera, even_views, project
from utils.run.randomness import numpy_rng


def rng_of(position: int) -> np.random.RandomState:
    return numpy_rng("test", position)


@pytest.fixture
def shown(tmp_path) -> projections.ProjectedDataset:
    options = write_folder(tmp_path / "data", [(moving(60 + 30 * i, i), record(f"c{i}")) for i in range(5)])
    return projections.load(SPEC, dataclasses.replace(options, data_augmentations=ALL_VARIATIONS))


def test_it_is_what_the_camera_sees(shown):
    """The same draws give the same clips, and the camera's picture of the 3D motion is the 2D motion."""
    solid = upright.UprightDataset(shown, np.zeros((16, 3), np.float32), np.ones((16, 3), np.float32))
    indices = [3, 0, 4]
    batch, flat = solid.batch(indices, rng_of), shown.batch(indices, rng_of)
    camera = Camera(SPEC.camera_distance, SPEC.visualization_scale)
    front = even_views(1, SPEC.elevation, offset=np.pi)  # azimuth 0
    pictures = project(batch["motion"], front, camera)[0]
    seen = denormalise(flat["motion"], shown.mean, shown.std)
    assert torch.equal(batch["lengths"], flat["lengths"]) and torch.equal(batch["mask"], flat["mask"])
    torch.testing.assert_close(pictures * batch["mask"], seen * batch["mask"], atol=1e-5, rtol=0)
    windows = shown.windows(indices, rng_of)
    torch.testing.assert_close(see(windows["points"], windows["azimuth"], SPEC), pictures, atol=10, rtol=1)
    heights = windows["points"][..., 1] * batch["mask"][..., 0]
    torch.testing.assert_close(batch["motion"][..., 1], heights)


def test_normalised_windows_have_mean_0_and_deviation_1(shown):
    solid = upright.upright(shown)
    assert solid.mean.shape == solid.std.shape == (16, 3) and solid.mean.dtype == np.float32
    batch = solid.batch([i % 5 for i in range(600)], rng_of)
    frames = batch["motion"][batch["mask"][:, :, 0, 0] > 0]
    moving_joints = [i for i in range(16) if i != BODY.index("Hip")]
    assert frames[:, moving_joints].mean(0).abs().max() < 0.25
    spread = frames[:, moving_joints].std(0)
    assert spread.min() > 0.8 and spread.max() < 1.2
    assert (solid.std[0] == 1).all() and (solid.mean[0] == 0).all() and not frames[:, 0].any()
    assert len(solid) == 5 and solid.spec is SPEC and np.array_equal(solid.weights, shown.weights)


def test_frames_after_the_end_do_not_count(tmp_path):
    """A head that rises steadily through a short clip: the mean is its middle, the deviation that of a ramp."""
    options = write_folder(tmp_path / "data", [(counting(30), record("short"))], fps=20.0)
    mean, std = upright.moments(projections.load(SPEC, options))
    head = BODY.index("Head")
    heights = counting(30)[:, head, 1] - counting(1)[0, BODY.index("Hip"), 1]
    assert mean[head, 1] == pytest.approx(heights.mean(), abs=1e-5)
    assert std[head, 1] == pytest.approx(heights.std(), rel=1e-3)


def test_the_figures_do_not_depend_on_a_run(shown):
    one, same = upright.moments(shown), upright.moments(shown)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    motions = dataclasses.replace(shown.motions, positions=2 * shown.motions.positions)
    larger = dataclasses.replace(shown, motions=motions)
    for figure, doubled in zip(one, upright.moments(larger), strict=True):
        np.testing.assert_allclose(doubled[1:], 2 * figure[1:], rtol=1e-4, atol=1e-5)
