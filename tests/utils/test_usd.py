"""USD: the library's own skinning shows our vertices, its validators find nothing, what is written is read."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import skinned
from utils.formats import usd
from utils.geometry.body import BodyMotion, vertices_of
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError


@pytest.fixture(scope="module")
def motion() -> BodyMotion:
    return skinned.dance(skinned.body())


@pytest.fixture(scope="module")
def pxr():
    pytest.importorskip("pxr", reason="needs usd-core: pip install usd-core")
    return usd.usd_core()


@pytest.mark.parametrize("suffix", usd.SUFFIXES)
def test_what_is_written_is_read(pxr, motion: BodyMotion, tmp_path: Path, suffix: str):
    path = tmp_path / f"zwei Tänze{suffix}"
    other = dataclasses.replace(skinned.dance(skinned.body(seed=5), 7, 12.5, name="2nd ✓"), contacts=None)
    usd.write(path, [motion, other])
    assert (path.read_bytes()[:5] == b"#usda") == (suffix == ".usda")
    for ours, theirs in zip([motion, other], usd.read(path), strict=True):
        assert (theirs.name, theirs.fps, theirs.text) == (ours.name, ours.fps, ours.text)
        assert (theirs.body.joints, theirs.body.parents) == (ours.body.joints, ours.body.parents)
        for name in ("rest", "vertices", "faces", "weights"):
            np.testing.assert_allclose(getattr(theirs.body, name), getattr(ours.body, name), atol=1e-6)
        np.testing.assert_allclose(theirs.rotations, ours.rotations, atol=1e-6)
        np.testing.assert_array_equal(theirs.root, ours.root)
        np.testing.assert_array_equal(theirs.contacts, ours.contacts)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_usd_shows_our_vertices(pxr, motion: BodyMotion, tmp_path: Path):
    """The second motion, of another rate, stands at the time codes of the first one's seconds."""
    usd.write(tmp_path / "two.usdc", [dataclasses.replace(motion, fps=40.0), motion])
    stage = pxr.Usd.Stage.Open(str(tmp_path / "two.usdc"))
    assert (stage.GetTimeCodesPerSecond(), stage.GetEndTimeCode()) == (40, 78)
    roots = [prim for prim in stage.Traverse() if prim.IsA(pxr.UsdSkel.Root)]
    for root, codes in zip(roots, (1, 2), strict=True):
        cache = pxr.UsdSkel.Cache()
        cache.Populate(pxr.UsdSkel.Root(root), pxr.Usd.PrimDefaultPredicate)
        (mesh,) = (prim for prim in pxr.Usd.PrimRange(root) if prim.IsA(pxr.UsdGeom.Mesh))
        skinning = cache.GetSkinningQuery(mesh)
        skeleton = cache.GetSkelQuery(pxr.UsdSkel.Skeleton(stage.GetPrimAtPath(root.GetPath().AppendChild("Skeleton"))))
        for frame in (0, 17, 39):
            points = pxr.UsdGeom.Mesh(mesh).GetPointsAttr().Get()
            assert skinning.ComputeSkinnedPoints(skeleton.ComputeSkinningTransforms(frame * codes), points)
            assert np.abs(np.array(points) - vertices_of(motion)[frame]).max() < 1e-5


def test_validators_find_nothing(pxr, motion: BodyMotion, tmp_path: Path):
    validation = pytest.importorskip("pxr.UsdValidation", reason="needs usd-core 25 or later")
    usd.write(tmp_path / "one.usda", [motion])
    context = validation.ValidationContext(validation.ValidationRegistry().GetOrLoadAllValidators())
    found = context.Validate(pxr.Usd.Stage.Open(str(tmp_path / "one.usda")))
    assert [error.GetMessage() for error in found] == []


def test_joints_that_come_before_their_parents_are_put_behind_them(pxr, motion: BodyMotion, tmp_path: Path):
    body = motion.body
    order = [0, 7, 6, 5, 4, 3, 2, 1]
    parents = tuple(-1 if body.parents[joint] < 0 else order.index(body.parents[joint]) for joint in order)
    mixed = dataclasses.replace(
        body, parents=parents, joints=tuple(body.joints[k] for k in order), rest=body.rest[order],
        weights=body.weights[:, order],
    )  # fmt: skip
    usd.write(tmp_path / "mixed.usdc", [dataclasses.replace(motion, body=mixed, rotations=motion.rotations[:, order])])
    (found,) = usd.read(tmp_path / "mixed.usdc")
    assert all(parent < joint for joint, parent in enumerate(found.body.parents))
    np.testing.assert_allclose(vertices_of(found), vertices_of(motion), atol=1e-5)


def test_a_file_that_is_not_there_is_missing(pxr, tmp_path: Path):
    with pytest.raises(MissingFileError, match="nothing.usda"):
        usd.read(tmp_path / "nothing.usda")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("#usda", "#usd?"),
        ("def SkelRoot", "def Scope"),
        ('upAxis = "Y"', 'upAxis = "Z"'),
        ("metersPerUnit = 1", "metersPerUnit = 0.01"),
        ("userProperties:fps = 20", "userProperties:fps = 25"),
        ('"hips/spine/head"', '"hips/head"'),
        ("def Skeleton", "def Scope"),
        ("int[] primvars:skel:jointIndices = [", "int[] primvars:skel:jointIndices = [99, "),
    ],
)
def test_broken_files_are_refused(pxr, motion: BodyMotion, tmp_path: Path, old: str, new: str):
    path = tmp_path / "broken.usda"
    usd.write(path, [motion])
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DataError, match="broken.usda"):
        usd.read(path)


def test_what_cannot_be_written_is_refused(pxr, motion: BodyMotion, tmp_path: Path):
    root = motion.root.copy()
    root[3, 1] = np.inf
    for error, name, motions in (
        (UsageError, "no.usda", []),
        (UsageError, "no.glb", [motion]),
        (NumericError, "no.usdc", [dataclasses.replace(motion, root=root)]),
    ):
        with pytest.raises(error, match=name):
            usd.write(tmp_path / name, motions)
    assert list(tmp_path.iterdir()) == []


def test_without_the_library_the_error_says_what_to_install(motion: BodyMotion, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pxr.Gf", None)
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(MissingFileError, match="pip install usd-core"):
        usd.write(tmp_path / "no.usda", [motion])
    assert list(tmp_path.iterdir()) == []
