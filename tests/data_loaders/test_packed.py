"""The packed folder: what is written comes back, whole or not at all, and a folder that does not add up is refused."""

import json

import numpy as np
import pytest

from data_loaders.common import packed
from tests.people import BODY, moving, record
from utils.run.errors import DataError, MissingFileError, UsageError

CLIPS = [(moving(40, 0), record("a")), (moving(25, 1).astype(np.float64), record("b", "test", ("kick", "run")))]


@pytest.fixture
def folder(tmp_path):
    packed.write(tmp_path / "data", CLIPS, 30.0, "nba", overwrite=False)
    return tmp_path / "data"


def change(folder, **changes) -> None:
    """Write other values into the index; a value of None takes the key out."""
    content = json.loads((folder / "index.json").read_text()) | changes
    kept = {name: value for name, value in content.items() if value is not None}
    (folder / "index.json").write_text(json.dumps(kept))


def test_what_is_written_comes_back(folder):
    motions = packed.read(folder)
    assert motions.fps == 30.0 and motions.skeleton is BODY and motions.positions.dtype == np.float32
    assert [(clip["start"], clip["stop"]) for clip in motions.clips] == [(0, 40), (40, 65)]
    for (positions, written), clip in zip(CLIPS, motions.clips, strict=True):
        np.testing.assert_array_equal(motions.positions[clip["start"] : clip["stop"]], positions.astype(np.float32))
        assert written.items() <= clip.items()


def test_an_existing_folder_is_replaced_only_when_asked(folder, tmp_path):
    with pytest.raises(UsageError, match="--overwrite"):
        packed.write(folder, CLIPS, 30.0, "nba", overwrite=False)
    assert len(packed.read(folder).clips) == 2
    assert packed.write(folder, CLIPS[:1], 30.0, "nba", overwrite=True) == 1
    assert [clip["name"] for clip in packed.read(folder).clips] == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_nothing_appears_when_a_clip_cannot_be_made(tmp_path):
    def clips():
        yield CLIPS[0]
        raise DataError("broken")

    with pytest.raises(DataError, match="broken"):
        packed.write(tmp_path / "data", clips(), 30.0, "nba", overwrite=False)
    with pytest.raises(DataError, match="no clip"):
        packed.write(tmp_path / "data", [], 30.0, "nba", overwrite=False)
    with pytest.raises(ValueError, match="JSON"):
        packed.write(tmp_path / "data", [(moving(4), {"name": float("nan")})], 30.0, "nba", overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_missing_files_name_the_command(tmp_path, folder):
    with pytest.raises(MissingFileError, match="prepare.mocap --output_dir"):
        packed.read(tmp_path / "nowhere")
    (folder / "positions.npy").unlink()
    with pytest.raises(MissingFileError, match="positions.npy does not exist"):
        packed.read(folder)
    for content in (b"", b"PK\x03\x04 no archive", b"\x93NUMPY"):
        (folder / "positions.npy").write_bytes(content)
        with pytest.raises(DataError, match="positions.npy"):
            packed.read(folder)


@pytest.mark.parametrize(
    ("positions", "reason"),
    [
        (np.zeros((64, 16, 3), np.float32), "disagree about the number of frames"),
        (np.zeros((65, 17, 3), np.float32), r"\(65, 17, 3\), not \[N, 16, 3\]"),
        (np.zeros((65, 16, 2), np.float32), r"not \[N, 16, 3\]"),
        (np.full((65, 16, 3), np.nan, np.float32), "NaN or infinite"),
        (np.full((65, 16, 3), np.inf, np.float32), "NaN or infinite"),
        (np.full((65, 16, 3), "x"), "not numbers"),
        (np.array([{}]), r"not \[N, 16, 3\]"),
    ],
)
def test_positions_that_are_wrong(folder, positions, reason):
    np.save(folder / "positions.npy", positions, allow_pickle=True)
    with pytest.raises(DataError, match=reason):
        packed.read(folder)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"skeleton": "octopus"}, "octopus"),
        ({"skeleton": "horse"}, r"not \[N, 17, 3\]"),
        ({"skeleton": None}, "skeleton"),
        ({"fps": None}, "fps"),
        ({"fps": 0}, "fps"),
        ({"fps": "fast"}, "fps"),
        ({"fps": -30}, "fps is -30"),
        ({"clips": ["a"]}, "clip 0 lacks name"),
        ({"clips": None}, "clips"),
        ({"clips": []}, "clips"),
        ({"clips": [{"name": "a", "start": 0, "stop": 65}]}, "split"),
        ({"clips": [record("a") | {"start": 0, "stop": 65, "texts": "a person"}]}, "texts of clip 0"),
        ({"clips": [record("a") | {"start": 0, "stop": 65, "texts": ["a person", " "]}]}, "texts of clip 0"),
        ({"clips": [record("a") | {"start": 0, "stop": 64}]}, "disagree about the number of frames"),
        ({"clips": [record("a") | {"start": 5, "stop": 2}, record("b") | {"start": 2, "stop": 65}]}, "disagree"),
        ({"clips": [record("a") | {"start": 0, "stop": 70}, record("b") | {"start": 70, "stop": 65}]}, "disagree"),
        ({"clips": [record("a") | {"start": -5, "stop": 65}]}, "disagree"),
    ],
)
def test_an_index_that_is_wrong(folder, changes, reason):
    change(folder, **changes)
    with pytest.raises(DataError, match=reason):
        packed.read(folder)


@pytest.mark.parametrize("text", ["", "[]", '"a"', "{"])
def test_an_index_that_is_none(folder, text):
    (folder / "index.json").write_text(text)
    with pytest.raises(DataError, match="index.json"):
        packed.read(folder)
