"""The page holds what it was given, small, safe and self-contained. What a browser makes of it: tests/clients."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from body.models import load_body
from tests.bodies import SMPL24, angle_between, chain, small_body, walking
from utils.geometry.body import Body, BodyMotion, joints_of, vertices_of
from utils.run.errors import DataError, MissingFileError, NumericError
from visualize.files.exporting import check
from visualize.page.html import FORMAT, read, write_page

HOSTILE = "</script><script>alert(1)</script><!-- <b> & \" ' \u2028 {{data}} {{script}}"


def contacts_of(motion: BodyMotion) -> np.ndarray:
    return np.random.RandomState(3).rand(len(motion.root), len(motion.body.joints)) < 0.3


def test_what_is_written_is_read(tmp_path: Path):
    motion = replace(walking(37, 25.0), text="a person\twalks on", name="walk 1")
    motion = replace(motion, contacts=contacts_of(motion))
    write_page(tmp_path / "a page.html", [motion], "Walks")
    (found,) = read(tmp_path / "a page.html")
    assert (found.name, found.text, found.fps) == (motion.name, motion.text, 25.0)
    assert (found.body.name, found.body.joints, found.body.parents) == ("free", SMPL24.joints, SMPL24.parents)
    assert np.array_equal(found.root, motion.root) and np.array_equal(found.contacts, motion.contacts)
    assert np.array_equal(found.body.faces, motion.body.faces)
    assert angle_between(found.rotations, motion.rotations) < 0.01
    assert np.abs(found.body.vertices - motion.body.vertices).max() < 3e-5
    assert np.abs(found.body.weights - motion.body.weights).max() <= 0.51 / 255
    assert np.allclose(found.body.weights.sum(1), 1, atol=1e-6)
    assert np.linalg.norm(vertices_of(found) - vertices_of(motion), axis=-1).max() < 2e-3


def test_half_turns_survive(tmp_path: Path):
    motion = walking(3)
    motion.rotations[0, 0], motion.rotations[1, 1] = np.diag([-1.0, 1, -1]), np.diag([1.0, -1, -1])
    write_page(tmp_path / "page.html", [motion])
    assert angle_between(read(tmp_path / "page.html")[0].rotations, motion.rotations) < 0.01


def test_a_vertex_of_many_joints_keeps_the_four_largest(tmp_path: Path):
    body = small_body()
    weights = np.full(body.weights.shape, 0.01, np.float32)
    weights[:, [2, 5, 7, 9]] = (0.3, 0.2, 0.2, 0.1)
    motion = walking(2, body=replace(body, weights=weights))
    write_page(tmp_path / "page.html", [motion])
    found = read(tmp_path / "page.html")[0].body.weights
    assert np.allclose(found[:, [2, 5, 7, 9]], np.array([0.3, 0.2, 0.2, 0.1]) / 0.8, atol=1 / 255)
    assert (np.delete(found, [2, 5, 7, 9], axis=1) == 0).all()


def test_one_frame_one_joint_no_mesh(tmp_path: Path):
    nothing = np.zeros((0, 3), np.float32)
    point = Body("ball", ("Ball",), (-1,), np.zeros((1, 3), np.float32), nothing, nothing.astype(int), np.zeros((0, 1)))
    motion = BodyMotion(point, np.eye(3, dtype=np.float32)[None, None], np.ones((1, 3), np.float32), 30.0)
    hidden = replace(walking(1), meta={"mesh": False})
    write_page(tmp_path / "page.html", [motion, hidden])
    found, skeleton = read(tmp_path / "page.html")
    assert found.root.tolist() == [[1, 1, 1]] and found.contacts is None and found.meta == {"mesh": False}
    assert len(skeleton.body.vertices) == 0 and np.allclose(joints_of(skeleton)[0], joints_of(hidden)[0], atol=1e-3)


def test_bodies_of_several_kinds(tmp_path: Path):
    fewer = small_body("legs", ("left_hip", "left_ankle", "pelvis", "left_knee"))  # children before their parents
    motions = [walking(5), walking(9, 30.0, fewer, seed=1), walking(7, seed=2)]
    write_page(tmp_path / "page.html", motions)
    found = read(tmp_path / "page.html")
    assert [motion.body.joints for motion in found] == [motion.body.joints for motion in motions]
    for one, other in zip(found, motions, strict=True):
        assert np.abs(joints_of(one)[0] - joints_of(other)[0]).max() < 1e-3
    assert found[0].body is found[2].body, "motions of one body share it"


def test_a_body_is_there_once(tmp_path: Path):
    body = load_body("free").shaped()
    motion = walking(30, body=body)
    write_page(tmp_path / "one.html", [motion])
    write_page(tmp_path / "two.html", [motion, walking(30, body=load_body("free").shaped(), seed=1)])
    more = (tmp_path / "two.html").stat().st_size - (tmp_path / "one.html").stat().st_size
    assert 30 * 24 * 8 < more < 1.5 * 30 * (24 * 8 + 12), "a second clip costs its rotations and its path"


def test_ten_people_of_ten_shapes_stay_below_four_megabytes(tmp_path: Path):
    model = load_body("free")
    motions = [walking(196, body=model.shaped([0.1 * i, 0.05 * i]), seed=i) for i in range(10)]
    motions = [replace(motion, contacts=contacts_of(motion)) for motion in motions]
    write_page(tmp_path / "page.html", motions)
    assert (tmp_path / "page.html").stat().st_size < 4_000_000


class Tags(HTMLParser):
    """The tags and the texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.texts = [], {}

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.setdefault(self.tags[-1][0] if self.tags else "", data)


def test_texts_stay_texts(tmp_path: Path):
    motion = replace(walking(2), name=HOSTILE, text=HOSTILE)
    write_page(tmp_path / "page.html", [motion], HOSTILE)
    page = Tags()
    page.feed((tmp_path / "page.html").read_text())
    assert [attrs.get("id") for tag, attrs in page.tags if tag == "script"] == ["data", None]
    assert page.texts["title"] == HOSTILE
    (found,) = read(tmp_path / "page.html")
    assert (found.name, found.text) == (HOSTILE, HOSTILE)


def test_nothing_is_fetched(tmp_path: Path):
    write_page(tmp_path / "page.html", [walking(2)], "A walk")
    page = (tmp_path / "page.html").read_text()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"', page)
    assert policy == "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
    code = re.sub(r'<script id="data".*?</script>', "", page, flags=re.DOTALL)
    assert not re.search(r"https?:|url\(|@import|\bsrc=|\bhref=|\bfetch\(|import\(", code)


def test_the_floor_is_where_people_stand(tmp_path: Path):
    standing = walking(5)
    lowest = joints_of(standing)[0][..., 1].min()
    centred = replace(standing, root=standing.root - (0, 0.95, 0))
    dipping = replace(standing, root=standing.root - (0, lowest + 0.1, 0))  # a little below y = 0, as fits are
    write_page(tmp_path / "page.html", [standing, centred, dipping])
    floors = [float(value) for value in re.findall(r'"floor":([-\d.e]+)', (tmp_path / "page.html").read_text())]
    assert floors == [0.0, pytest.approx(lowest - 0.95, abs=1e-6), 0.0]


def test_bad_input(tmp_path: Path):
    path = tmp_path / "page.html"
    with pytest.raises(DataError, match="no motion"):
        write_page(path, [])
    broken = walking(4)
    broken.root[2, 1] = np.nan
    with pytest.raises(NumericError, match="NaN"):
        write_page(path, [walking(4), broken])
    with pytest.raises(DataError, match="contacts"):
        write_page(path, [replace(walking(4), contacts=np.zeros((4, 3), bool))])
    assert not list(tmp_path.iterdir()), "nothing half-written"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"<html></html>", "no data"),
        (b"\xff\xfe\x00", "page of motions"),
        (b'<script id="data" type="application/json">{"version": 9}</script>', "version 9"),
        (b'<script id="data" type="application/json">[1]</script>', "page of motions"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, fault: str):
    (tmp_path / "page.html").write_bytes(content)
    with pytest.raises(DataError, match=fault):
        read(tmp_path / "page.html")
    with pytest.raises(MissingFileError):
        read(tmp_path / "none.html")


def test_a_cut_page_is_refused(tmp_path: Path):
    write_page(tmp_path / "page.html", [walking(4)])
    page = (tmp_path / "page.html").read_text()
    changed = page.replace('"frames":4', '"frames":5')
    assert changed != page
    (tmp_path / "page.html").write_text(changed)
    with pytest.raises(DataError, match="page of motions"):
        read(tmp_path / "page.html")


@pytest.mark.parametrize("joints", [24, 500])
def test_rounding_does_not_add_up_along_a_chain(tmp_path: Path, joints: int):
    motion = chain(joints)
    write_page(tmp_path / "page.html", [motion])
    (found,) = read(tmp_path / "page.html")
    assert np.abs(joints_of(found)[0] - joints_of(motion)[0]).max() < 0.1 * joints * 2e-5
    check(tmp_path / "page.html", FORMAT, [motion])
