"""MediaPipe's pose landmarks as JSON: 33 of x, y in shares of the picture, and `visibility`.

Taken: a list of 33 landmarks; a list of such lists, one a person (`pose_landmarks` of the Tasks API); either of them
under `pose_landmarks`, `poseLandmarks`, `landmarks` or `landmark`. Landmarks are objects, or [x, y, z, visibility].
"""

from typing import Any

import numpy as np

from utils.formats.keypoints.tracks import Track, track_of
from utils.geometry.joint_maps import JOINT_SETS
from utils.run.errors import DataError

_KEYS = ("pose_landmarks", "poseLandmarks", "landmarks", "landmark")
JOINTS = JOINT_SETS["blazepose33"]


def people_of(content: Any) -> list[list[Any]] | None:
    """The landmarks of each person; None where JSON is no such file."""
    while isinstance(content, dict):
        key = next((key for key in _KEYS if key in content), None)
        if key is None:
            return None
        content = content[key]
    if not isinstance(content, list):
        return None
    people = [content] if content and _is_landmark(content[0]) else content
    people = [person.get("landmark", person) if isinstance(person, dict) else person for person in people]
    whole = all(isinstance(person, list) and person and all(map(_is_landmark, person)) for person in people)
    return people if whole else None


def _is_landmark(value: Any) -> bool:
    if isinstance(value, dict):
        return {"x", "y"} <= set(value)
    return isinstance(value, list) and len(value) >= 3 and all(isinstance(number, int | float) for number in value)


def read(people: list[list[Any]], path: object, size: tuple[int, int] | None) -> list[Track]:
    """The people of a picture of a known size. Raises DataError."""
    tracks = []
    for number, landmarks in enumerate(people):
        if len(landmarks) != len(JOINTS):
            raise DataError(f"{path}: person {number} has {len(landmarks)} landmarks, not {len(JOINTS)}")
        if size is None:
            raise DataError(f"{path}: MediaPipe tells shares of the picture: name the picture, or its --image_size")
        numbers = np.array([_numbers(each) for each in landmarks], np.float64)
        numbers[:, :2] = numbers[:, :2] * size - 0.5
        tracks.append(track_of(f"person {number}", JOINTS, numbers, path, size))
    return tracks


def _numbers(landmark: Any) -> tuple[float, float, float]:
    """x, y and visibility of a landmark; one that says no visibility was seen."""
    if isinstance(landmark, dict):
        return float(landmark["x"]), float(landmark["y"]), float(landmark.get("visibility", 1.0))
    return float(landmark[0]), float(landmark[1]), float(landmark[3]) if len(landmark) > 3 else 1.0
