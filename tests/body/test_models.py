"""Body models: the published linear blend skinning to 1e-5, the free body's laws, and which body is taken."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from body import models as bodies
from body.models import BodyModel, load_body
from utils.geometry.body import BodyMotion, joints_of, vertices_of
from utils.geometry.rotations import axis_angle_to_matrix, rotation_6d_to_matrix
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError

SMPL24 = SKELETONS["smpl24"]


@pytest.fixture(scope="module")
def free() -> BodyModel:
    return load_body("free")


@pytest.fixture
def record(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "mesh" / "smpl_like_body.npz"))


def posed(model: BodyModel, betas: np.ndarray, pose: np.ndarray, transl: np.ndarray) -> BodyMotion:
    """One frame of SMPL's parameters."""
    body = model.shaped(betas)
    rotations = axis_angle_to_matrix(torch.from_numpy(pose).double().view(1, 24, 3)).numpy()
    return BodyMotion(body, rotations, body.rest[:1] + transl, 30.0)


def test_skinning_is_that_of_smplx(golden: Path, record: dict[str, np.ndarray]):
    model = load_body(str(golden / "mesh" / "smpl_like_body.npz"))
    for frame in range(4):
        for transl, suffix in ((np.zeros(3), ""), (record["transl"][frame], "_transl")):
            motion = posed(model, record["betas"][frame], record["pose"][frame], transl)
            assert np.abs(vertices_of(motion)[0] - record[f"vertices{suffix}"][frame]).max() < 1e-5
            assert np.abs(joints_of(motion)[0][0] - record[f"joints{suffix}"][frame]).max() < 1e-5
            assert np.allclose(motion.translation, transl, atol=1e-6)


def test_skinning_beside_smplx(golden: Path, record: dict[str, np.ndarray]):
    lbs = pytest.importorskip("smplx.lbs", reason="needs smplx: pip install smplx")
    model = load_body(str(golden / "mesh" / "smpl_like_body.npz"))
    rng = np.random.RandomState(5)
    betas, pose = rng.randn(6, 10).astype(np.float32), rng.uniform(-2, 2, (6, 72)).astype(np.float32)
    directions = torch.from_numpy(record["posedirs"]).reshape(-1, 207).T
    template, shapes, regressor, weights = (
        torch.from_numpy(record[key]) for key in ("v_template", "shapedirs", "J_regressor", "weights")
    )
    given = (torch.from_numpy(betas), torch.from_numpy(pose), template[None], shapes, directions, regressor)
    vertices, joints = lbs.lbs(*given, torch.tensor(SMPL24.parents), weights)
    for frame in range(6):
        motion = posed(model, betas[frame], pose[frame], np.zeros(3))
        assert np.abs(vertices_of(motion)[0] - vertices[frame].numpy()).max() < 1e-5
        assert np.abs(joints_of(motion)[0][0] - joints[frame].numpy()).max() < 1e-5


def test_rotations_of_a_motion_become_the_published_vertices(golden: Path):
    """The published conversion starts each clip where the template is and moves it as the root moves."""
    record = np.load(golden / "mesh" / "rot2xyz.npz")
    body = load_body(str(golden / "mesh" / "smpl_like_body.npz")).shaped()
    for clip, motion in enumerate(record["motion"]):
        columns = rotation_6d_to_matrix(torch.from_numpy(motion[:24]).permute(2, 0, 1))
        root = (motion[24, :3] - motion[24, :3, :1]).T
        clip_motion = BodyMotion(body, columns.mT.numpy(), body.rest[0] + root, 20.0)
        assert np.abs(vertices_of(clip_motion) - record["vertices"][clip].transpose(2, 0, 1)).max() < 1e-5
        joints = joints_of(clip_motion)[0] - body.rest[0]
        assert np.abs(joints - record["joints_smpl"][clip].transpose(2, 0, 1)).max() < 1e-5


def test_the_free_body_has_the_layout_of_smpl(free: BodyModel):
    body = free.shaped()
    assert (body.joints, body.parents) == (SMPL24.joints, SMPL24.parents)
    assert np.abs(body.weights.sum(1) - 1).max() < 1e-5
    assert (body.weights > 0).sum(1).max() <= 4
    assert (body.weights >= 0).all()
    assert np.abs(body.rest[0]).max() == 0
    heights = {name: body.rest[joint, 1] for joint, name in enumerate(body.joints)}
    lower = -np.mean([heights["left_hip"], heights["right_hip"]])
    assert lower == pytest.approx(0.085, abs=0.003)
    assert [heights[f"spine{n}"] for n in (1, 2, 3)] == pytest.approx([0.11, 0.24, 0.30], abs=0.003)
    left = [joint for joint in range(24) if SMPL24.side(joint) == "left"]
    assert (body.rest[left, 0] > 0.02).all()
    assert body.rest[SMPL24.index("left_foot"), 2] > body.rest[SMPL24.index("left_ankle"), 2] + 0.1
    arms = body.rest[[SMPL24.index(f"left_{name}") for name in ("shoulder", "elbow", "wrist", "hand")]]
    assert np.ptp(arms[:, 1:], axis=0).max() < 1e-5
    assert "CC0" in free.licence


def test_the_free_body_is_a_closed_surface_of_a_persons_size(free: BodyModel):
    body = free.shaped()
    edges = body.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    directed = set(map(tuple, edges.tolist()))
    assert len(directed) == len(edges)
    assert all((b, a) in directed for a, b in directed)
    assert len(body.vertices) - len(edges) // 2 + len(body.faces) == 2
    corners = body.vertices[body.faces].astype(np.float64)
    volume = np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    assert 0.05 < volume < 0.065
    # From the curled fingers of one hand to the other's; flat hands would reach over 1.665.
    assert np.ptp(body.vertices, axis=0)[:2] == pytest.approx([1.626, 1.661], abs=0.002)


def test_the_free_body_is_the_same_on_both_sides(free: BodyModel):
    body, mirror = free.shaped(), list(SMPL24.mirror)
    assert np.abs(body.rest[mirror] * (-1, 1, 1) - body.rest).max() < 1e-4
    vertices = torch.from_numpy(body.vertices)
    apart = torch.cdist(
        vertices, vertices * torch.tensor([-1.0, 1.0, 1.0]), compute_mode="donot_use_mm_for_euclid_dist"
    )
    nearest = apart.min(1)
    assert nearest.values.max() < 0.005
    assert nearest.values.mean() < 1e-4
    unlike = np.abs(body.weights[nearest.indices.numpy()][:, mirror] - body.weights).sum(1)
    assert unlike.mean() < 0.02


@pytest.mark.parametrize(
    ("shape", "height"), [({"male": 1}, 1.73), ({"child": 1}, 1.31), ({"old": 1}, 1.64), ({"tall": 1}, 1.877)]
)
def test_shapes_have_the_heights_that_were_measured(free: BodyModel, shape: dict[str, float], height: float):
    assert np.ptp(free.shaped(shape).vertices[:, 1]) == pytest.approx(height, abs=0.01)


@pytest.mark.parametrize("shape", [{}, {"child": 1}, {"heavy": 1, "male": 1}, {"tall": -1}])
def test_joints_follow_the_shape(free: BodyModel, shape: dict[str, float]):
    """The flesh that turns with a joint and its parent alike lies around the joint."""
    body = free.shaped(shape)
    for joint in range(1, 24):
        if body.joints[joint].startswith(("spine", "neck")):
            continue  # pivots that were moved
        shared = body.weights[:, joint] * body.weights[:, body.parents[joint]]
        ring = (shared[:, None] * body.vertices).sum(0) / shared.sum()
        assert np.linalg.norm(ring - body.rest[joint]) < 0.07, (body.joints[joint], ring - body.rest[joint])


def test_numbers_of_a_shape(free: BodyModel):
    assert (free.betas([0.5]) == [0.5, *[0] * (len(free.shape_names) - 1)]).all()
    assert (free.betas({"tall": 1}) == (np.array(free.shape_names) == "tall")).all()
    assert (free.shaped({"male": 1}).vertices == free.shaped([1]).vertices).all()
    with pytest.raises(UsageError, match="heigth.*; it has male, heavy"):
        free.betas({"heigth": 1})
    with pytest.raises(UsageError, match="11 shape numbers were given; free has 8"):
        free.shaped(np.zeros(11))
    with pytest.raises(NumericError, match="nan"):
        free.shaped([np.nan])


def test_which_body_is_taken(golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bodies, "SMPL_FOLDER", tmp_path)
    assert load_body().name == "free"
    with pytest.raises(MissingFileError, match="SMPL_NEUTRAL.pkl is missing; body_models/README.md"):
        load_body("smpl")
    source = golden / "mesh" / "smpl_like_body.npz"
    shutil.copy(source, tmp_path / "SMPL_MALE.npz")
    with pytest.raises(MissingFileError, match="holds SMPL_MALE.npz but no SMPL_NEUTRAL.pkl; name the file itself"):
        load_body("smpl")
    assert load_body().name == "free"
    assert load_body(str(tmp_path / "SMPL_MALE.npz")).name == "smpl_male"
    shutil.copy(source, tmp_path / "SMPL_NEUTRAL.npz")
    assert load_body().name == load_body("smpl").name == "smpl"
    assert load_body("free").name == "free"
    with pytest.raises(UsageError, match="choose free, smpl, or a SMPL file"):
        load_body("smplx")
    with pytest.raises(MissingFileError, match="does not exist"):
        load_body("nowhere.pkl")


def test_a_free_body_that_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bodies, "FREE_BODY", tmp_path / "free.npz")
    with pytest.raises(MissingFileError, match="prepare.bake_body"):
        load_body("free")
    (tmp_path / "free.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="prepare.bake_body"):
        load_body("free")
