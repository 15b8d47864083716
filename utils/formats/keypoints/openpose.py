"""OpenPose's JSON of one picture: `people`, each with `pose_keypoints_2d`, three numbers a keypoint.

Orders of keypoints: BODY_25 and COCO, as OpenPose's own pages on its output have them (`doc/02_output.md`).
"""

from typing import Any

import numpy as np

from utils.formats.keypoints.tracks import Track, track_of
from utils.run.errors import DataError

COCO18 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
    "right_ear", "left_ear",
)  # fmt: skip
BODY25 = (
    *COCO18[:8], "mid_hip", *COCO18[8:], "left_big_toe", "left_small_toe", "left_heel", "right_big_toe",
    "right_small_toe", "right_heel",
)  # fmt: skip
_ORDERS = {3 * len(order): order for order in (BODY25, COCO18)}


def is_openpose(content: Any) -> bool:
    """Whether JSON is OpenPose's."""
    return isinstance(content, dict) and isinstance(content.get("people"), list)


def read(content: Any, path: object, size: tuple[int, int] | None = None) -> list[Track]:
    """The people of a picture. Raises DataError."""
    tracks = []
    for number, person in enumerate(content["people"]):
        values = person.get("pose_keypoints_2d") if isinstance(person, dict) else None
        try:
            numbers = np.asarray(values, np.float64)
        except (TypeError, ValueError):
            numbers = np.empty(0)
        order = _ORDERS.get(numbers.size)
        if numbers.ndim != 1 or order is None:
            raise DataError(
                f"{path}: pose_keypoints_2d of person {number} are not the numbers of 25 (BODY_25) or 18 (COCO) "
                "keypoints, x, y and confidence of each"
            )
        tracks.append(track_of(f"person {number}", order, numbers.reshape(-1, 3), path, size))
    return tracks
