"""Keypoints of pictures: every format gives the same person, and what is none is refused in a sentence."""

import json
from pathlib import Path

import numpy as np
import pytest

from utils.formats.keypoints.openpose import BODY25, COCO18
from utils.formats.keypoints.reading import person_of, read_keypoints
from utils.geometry.joint_maps import JOINT_SETS, known_joints
from utils.run.errors import DataError, MissingFileError, UsageError

SIZE = (640, 480)


def place(name: str) -> tuple[float, float]:
    """Where a joint is in the picture: another place for each name, left and right told apart."""
    code = sum(ord(letter) * (index + 1) for index, letter in enumerate(name))
    return 10.0 + code % 600, 10.0 + code % 450


def person(joints: tuple[str, ...]) -> np.ndarray:
    """Keypoints [J, 3] at the places of their names as `joint_maps` knows them, of confidence 0.9."""
    points = np.full((len(joints), 3), 5.0)
    points[:, 2] = 0.9
    for name, row in known_joints(joints).items():
        points[row, :2] = place(name)
    return points


def openpose(*people: np.ndarray) -> dict:
    return {"version": 1.3, "people": [{"pose_keypoints_2d": each.flatten().tolist()} for each in people]}


def landmarks(points: np.ndarray) -> list[dict]:
    return [{"x": (x + 0.5) / SIZE[0], "y": (y + 0.5) / SIZE[1], "z": 0.1, "visibility": sure} for x, y, sure in points]


def written(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


COCO17, BLAZE = person(JOINT_SETS["coco17"]), person(JOINT_SETS["blazepose33"])
FORMS = {
    "body25": openpose(person(BODY25)),
    "coco18": openpose(person(COCO18)),
    "results": [{"image_id": 1, "category_id": 1, "keypoints": COCO17.flatten().tolist(), "score": 0.8}],
    "mediapipe": landmarks(BLAZE),
    "mediapipe tasks": {"pose_landmarks": [landmarks(BLAZE)]},
    "mediapipe proto": {"poseLandmarks": {"landmark": landmarks(BLAZE)}},
    "mediapipe rows": [[each["x"], each["y"], each["z"], each["visibility"]] for each in landmarks(BLAZE)],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_format_gives_the_same_person(form: str, tmp_path: Path):
    (track,) = read_keypoints(written(tmp_path / "a.json", FORMS[form]), SIZE)
    known = known_joints(track.joints)
    assert {"left_wrist", "right_knee", "nose", "left_ear"} <= set(known)
    for name, row in known.items():
        np.testing.assert_allclose(track.points[0, row], (*place(name), 0.9), atol=1e-4, err_msg=name)


def test_openpose_has_feet_and_a_neck():
    """As in OpenPose's own picture of BODY_25: number 1 the neck, 8 the hips' middle, 21 the left heel."""
    assert (BODY25[1], BODY25[8], BODY25[14], BODY25[21], BODY25[24]) == (
        "neck", "mid_hip", "left_ankle", "left_heel", "right_heel",
    )  # fmt: skip
    assert (COCO18[4], COCO18[10], COCO18[17]) == ("right_wrist", "right_ankle", "left_ear")


def test_what_was_not_seen_counts_for_nothing(tmp_path: Path):
    points = person(BODY25)
    points[4] = 0
    points[7, 0], points[10, 2] = np.nan, 1.7
    (track,) = read_keypoints(written(tmp_path / "a.json", openpose(points)))
    assert track.points[0, [4, 7], 2].tolist() == [0, 0] and track.points[0, 10, 2] == 1
    assert np.isfinite(track.points).all() and track.seen[0].sum() == 23 and track.size is None


def test_annotations_tell_what_is_hidden_and_which_picture(tmp_path: Path):
    rows = []
    for picture in (7, 8):
        points = person(JOINT_SETS["coco17"]) + (picture, 0, 0)
        points[:, 2] = 2
        points[9, 2], points[10] = 1, 0
        rows.append({"image_id": picture, "keypoints": points.flatten().tolist()})
    images = [{"id": number, "file_name": f"im{number}.jpg", "width": 30, "height": 20} for number in (7, 8)]
    path = written(tmp_path / "a.json", {"images": images, "annotations": rows})
    (track,) = read_keypoints(path, image="im8.jpg")
    assert track.size == (30, 20) and track.points[0, 9:12, 2].tolist() == [0.5, 0, 1]
    assert track.points[0, 0, 0] == place("nose")[0] + 8
    with pytest.raises(DataError, match="2 pictures"):
        read_keypoints(path, image="other.jpg")


def test_several_people_are_told_apart(tmp_path: Path):
    other = person(BODY25) + (20, 0, 0)
    faint = person(BODY25) * (1, 1, 0.01)
    path = written(tmp_path / "a.json", openpose(person(BODY25), faint, other))
    tracks = read_keypoints(path)
    assert [track.name for track in tracks] == ["person 0", "person 2"], "who is hardly seen is left out"
    assert person_of(tracks, "2", path).points[0, 0, 0] == place("nose")[0] + 20
    with pytest.raises(UsageError, match="2 people .*--person 0"):
        person_of(tracks, "", path)
    with pytest.raises(UsageError, match="--person 1: .* shows person 0, person 2"):
        person_of(tracks, "1", path)


def test_the_best_result_comes_first(tmp_path: Path):
    rows = [
        {"image_id": 1, "keypoints": (COCO17 + (shift, 0, 0)).flatten().tolist(), "score": score}
        for shift, score in ((0, 0.2), (9, 0.7))
    ]
    tracks = read_keypoints(written(tmp_path / "a.json", rows))
    assert tracks[0].points[0, 0, 0] == place("nose")[0] + 9


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"people": []}, "nobody"),
        ([], "nobody|no keypoints"),
        (openpose(np.zeros((25, 3))), "nobody"),
        (openpose(person(BODY25)[:20]), "25 .BODY_25. or 18"),
        ({"people": [{"pose_keypoints_2d": "x"}]}, "BODY_25"),
        ([{"image_id": 1, "keypoints": [1, 2, 3]}], "17 times"),
        (landmarks(BLAZE)[:20], "20 landmarks"),
        ({"frames": 3}, "no keypoints of OpenPose"),
    ],
)
def test_what_is_refused(content: object, said: str, tmp_path: Path):
    with pytest.raises(DataError, match=said):
        read_keypoints(written(tmp_path / "a.json", content), SIZE)


def test_shares_of_a_picture_need_its_size(tmp_path: Path):
    with pytest.raises(DataError, match="--image_size"):
        read_keypoints(written(tmp_path / "a.json", FORMS["mediapipe"]))
    with pytest.raises(MissingFileError):
        read_keypoints(tmp_path / "none.json")
