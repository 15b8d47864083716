"""The one door for keypoints in pictures: OpenPose's, COCO's and MediaPipe's JSON."""

from pathlib import Path

from utils.formats.keypoints import coco, mediapipe, openpose
from utils.formats.keypoints.tracks import Track
from utils.run.errors import DataError, UsageError
from utils.run.files import read_json

LEAST = 4  # keypoints that a person must show


def read_keypoints(path: str | Path, size: tuple[int, int] | None = None, image: str = "") -> list[Track]:
    """The people of a picture whose keypoints a file holds, those who show at least `LEAST`.

    `size` is the picture's width and height where it is known, `image` its file name, by which a file of several
    pictures is looked up. Raises MissingFileError, and DataError for another file, and for one with nobody in it.
    """
    content = read_json(path)
    if openpose.is_openpose(content):
        found = openpose.read(content, path, size)
    elif (people := mediapipe.people_of(content)) is not None:
        found = mediapipe.read(people, path, size)
    elif coco.is_coco(content):
        found = coco.read(content, path, size, image)
    else:
        raise DataError(f"{path} holds no keypoints of OpenPose (people), COCO (results) or MediaPipe (33 landmarks)")
    shown = [track for track in found if track.seen.sum(1).max() >= LEAST]
    if not shown:
        raise DataError(f"{path}: there is nobody in the picture with at least {LEAST} keypoints")
    return shown


def person_of(tracks: list[Track], person: str, path: str | Path) -> Track:
    """The person that `--person` names by number; the only one where there is one. Raises UsageError."""
    if person == "" and len(tracks) == 1:
        return tracks[0]
    names = [track.name for track in tracks]
    if person == "":
        raise UsageError(
            f"{path} shows {len(tracks)} people ({', '.join(names[:8])}): choose one with --person, as in --person "
            f"{names[0].rpartition(' ')[2]}"
        )
    wanted = next((track for track in tracks if track.name in (person, f"person {person}")), None)
    if wanted is None:
        raise UsageError(f"--person {person}: {path} shows {', '.join(names[:8])}")
    return wanted
