"""COCO's JSON: a list of results, or a file of annotations; each row has 51 numbers of 17 `keypoints`.

The third number of a result is a confidence, of an annotation 0 (not there), 1 (hidden) or 2 (seen); see "COCO data
format" and "results format" (cocodataset.org). Files of several pictures need the name or number of one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from utils.formats.keypoints.tracks import Track, track_of
from utils.geometry.joint_maps import JOINT_SETS
from utils.run.errors import DataError

_HIDDEN = 0.5  # what a hidden keypoint of an annotation counts


def is_coco(content: Any) -> bool:
    """Whether JSON is a list of results, or annotations of COCO."""
    rows = rows_of(content)
    return bool(rows) and all(isinstance(row, dict) and "keypoints" in row for row in rows)


def rows_of(content: Any) -> list[Any]:
    """The rows of people; none where it is no such file."""
    rows = content.get("annotations") if isinstance(content, dict) else content
    return rows if isinstance(rows, list) else []


def read(content: Any, path: object, size: tuple[int, int] | None = None, image: str = "") -> list[Track]:
    """The people of a picture, best first, the picture found by its file name `image` where there are several.

    Raises DataError.
    """
    images = content.get("images", []) if isinstance(content, dict) else []
    named = {row.get("id"): row for row in images if isinstance(row, dict)}
    rows = _of_picture(rows_of(content), named, image, path)
    rows = sorted(rows, key=lambda row: -_score(row))
    tracks = []
    for number, row in enumerate(rows):
        try:
            numbers = np.asarray(row["keypoints"], np.float64).reshape(-1, 3)
        except (TypeError, ValueError):
            numbers = np.empty((0, 3))
        if len(numbers) != len(JOINT_SETS["coco17"]):
            raise DataError(f"{path}: the keypoints of person {number} are not 17 times x, y and confidence")
        if isinstance(content, dict):
            numbers[:, 2] = np.array([0.0, _HIDDEN, 1.0])[numbers[:, 2].clip(0, 2).astype(int)]
        picture = named.get(row.get("image_id"), {})
        told = (int(picture["width"]), int(picture["height"])) if {"width", "height"} <= set(picture) else None
        tracks.append(track_of(f"person {number}", JOINT_SETS["coco17"], numbers, path, size or told))
    return tracks


def _of_picture(rows: Sequence[Any], named: dict[Any, Any], image: str, path: object) -> list[Any]:
    """Those rows that belong to a picture. Raises DataError where several are and none is told."""
    pictures = list(dict.fromkeys(str(row.get("image_id", "")) for row in rows))
    if len(pictures) < 2:
        return list(rows)
    stem = image.rpartition(".")[0] or image

    def names(row: Any) -> set[str]:
        number = row.get("image_id", "")
        file = str(named.get(number, {}).get("file_name", ""))
        return {str(number), str(number).zfill(12), file, file.rpartition("/")[2], file.rpartition(".")[0]}

    found = [row for row in rows if image and {image, stem} & names(row)]
    if not found:
        raise DataError(f"{path} has the keypoints of {len(pictures)} pictures, and none of them is {image or 'named'}")
    return found


def _score(row: Any) -> float:
    score = row.get("score", 0.0)
    return float(score) if isinstance(score, int | float) else 0.0
