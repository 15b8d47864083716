"""Checkpoints: whole or absent, newest that verifies, nothing run on opening, full disk, both published names."""

import json
import os
import pickle
import random
from pathlib import Path

import pytest
import torch

from utils.run import checkpoint
from utils.run.errors import DataError, MissingFileError, NumericError


def content(value: float = 1.0) -> dict:
    return {"model": {"weight": torch.full((4, 3), value), "steps": torch.tensor(7)}, "optimizer": {}, "step": 5}


class Hostile:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_what_is_saved_is_loaded(tmp_path):
    path = checkpoint.save(tmp_path, 5, content(3))
    assert path == tmp_path / "checkpoint_5.pth" and checkpoint.step_of(path) == 5
    loaded = checkpoint.load(path)
    assert torch.equal(loaded["model"]["weight"], torch.full((4, 3), 3.0)) and loaded["step"] == 5
    entry = json.loads((tmp_path / "manifest.json").read_text())["checkpoint_5.pth"]
    assert entry == {"sha256": checkpoint.digest(path), "bytes": path.stat().st_size}
    assert sorted(os.listdir(tmp_path)) == ["checkpoint_5.pth", "manifest.json"]


def test_weights_are_the_averaged_ones_in_single_precision(tmp_path):
    plain, average = {"w": torch.ones(2).half(), "n": torch.tensor(3)}, {"w": torch.zeros(2).half()}
    assert checkpoint.weights({"model": plain})["w"].dtype == torch.float32
    assert checkpoint.weights({"model": plain})["n"].dtype == torch.int64
    assert not checkpoint.weights({"model": plain, "model_avg": average})["w"].any()
    assert checkpoint.weights(plain)["w"].all(), "a bare state dict, as some published files are"
    for foreign in ({}, {"model": {}}, {"model": {"w": 3}}, {"epoch": 3}, {"model": torch.ones(2)}):
        with pytest.raises(DataError, match="holds no weights"):
            checkpoint.weights(foreign)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_saved(tmp_path, value):
    checkpoint.save(tmp_path, 4, content())
    with pytest.raises(NumericError, match="weight hold NaN or infinity at step 5"):
        checkpoint.save(tmp_path, 5, content(value))
    assert checkpoint.newest(tmp_path) == tmp_path / "checkpoint_4.pth"
    assert sorted(os.listdir(tmp_path)) == ["checkpoint_4.pth", "manifest.json"]


def test_changed_bytes_are_refused(tmp_path):
    path = checkpoint.save(tmp_path, 5, content())
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match="is damaged: its bytes are not those that manifest.json records"):
        checkpoint.load(path)
    assert checkpoint.newest(tmp_path) is None
    with pytest.raises(MissingFileError, match="no usable checkpoint"):
        checkpoint.resolve(tmp_path)


def test_the_newest_that_verifies_is_used(tmp_path):
    for step in (9, 10, 100):
        path = checkpoint.save(tmp_path, step, content(step))
    assert checkpoint.resolve(tmp_path) == path, "by number, not by name"
    path.write_bytes(path.read_bytes()[:500])
    assert checkpoint.resolve(tmp_path) == tmp_path / "checkpoint_10.pth"
    (tmp_path / "checkpoint_2000.pth").write_bytes(b"written, but not yet in the manifest")
    assert checkpoint.resolve(tmp_path) == tmp_path / "checkpoint_10.pth"
    (tmp_path / "checkpoint_10.pth").unlink()
    assert checkpoint.newest(tmp_path) == tmp_path / "checkpoint_9.pth"


def test_a_published_folder_has_no_manifest(tmp_path):
    for name in (
        "checkpoint_20.pth",
        "checkpoint_100.pth",
        ".tmp-7-checkpoint_300.pth",
        "opt000000400.pt",
        "notes.txt",
    ):
        torch.save(content(), tmp_path / name)
    assert checkpoint.resolve(tmp_path) == tmp_path / "checkpoint_100.pth"
    assert checkpoint.load(checkpoint.resolve(tmp_path))["step"] == 5
    torch.save(content(), tmp_path / "model000000500.pt")
    assert checkpoint.step_of(checkpoint.resolve(tmp_path)) == 500
    with pytest.raises(DataError, match="not named like a checkpoint"):
        checkpoint.step_of(tmp_path / "notes.txt")
    with pytest.raises(MissingFileError, match="no usable checkpoint"):
        checkpoint.resolve(tmp_path.joinpath("empty").mkdir() or tmp_path / "empty")
    with pytest.raises(MissingFileError, match="does not exist"):
        checkpoint.load(tmp_path / "checkpoint_1.pth")


def test_opening_a_file_runs_nothing(tmp_path):
    """Neither a torch file nor a bare pickle, at any depth, in either of torch's formats."""
    bait = tmp_path / "touched"
    hostile = {"model": {"weight": torch.ones(2)}, "extra": [Hostile(bait)]}
    torch.save(hostile, tmp_path / "zip.pth")
    torch.save(hostile, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(hostile))
    for name in ("zip.pth", "old.pth", "bare.pth"):
        with pytest.raises(DataError, match="not a checkpoint that can be opened safely") as said:
            checkpoint.load(tmp_path / name)
        assert "\n" not in str(said.value) and not bait.exists()
    torch.load(tmp_path / "zip.pth", weights_only=False)
    assert bait.exists(), "the bait works where it is swallowed"


@pytest.mark.parametrize(
    "made", [b"", b"PK\x03\x04", b"\x80\x02}q\x00.", b"hello\n", b"\x93NUMPY\x01\x00", b"\x00" * 999]
)
def test_foreign_files(tmp_path, made):
    path = tmp_path / "checkpoint_1.pth"
    path.write_bytes(made)
    with pytest.raises(DataError):
        checkpoint.weights(checkpoint.load(path))
    torch.save([1, 2], path)
    with pytest.raises(DataError, match="holds a list, not a checkpoint"):
        checkpoint.load(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_files_cut_short(tmp_path, share):
    path = tmp_path / "checkpoint_1.pth"
    torch.save(content(), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match="checkpoint_1.pth"):
        checkpoint.load(path)


@pytest.mark.parametrize("room", [0, 10, 700, 100_000])
def test_a_full_disk_leaves_the_old_save(tmp_path, full_disk, room):
    checkpoint.save(tmp_path, 4, content())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with full_disk(room), pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path, 5, {"model": {"weight": torch.ones(100_000)}})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert checkpoint.newest(tmp_path) == tmp_path / "checkpoint_4.pth"


def test_a_disk_that_is_full_for_the_manifest_only(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 4, content())

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_json", fail)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path, 5, content(5))
    assert checkpoint.newest(tmp_path) == tmp_path / "checkpoint_4.pth", "5 is there, but nothing vouches for it"
    monkeypatch.undo()
    checkpoint.save(tmp_path, 5, content(5))
    assert checkpoint.newest(tmp_path) == tmp_path / "checkpoint_5.pth"


def test_pruning_keeps_milestones_and_the_newest(tmp_path):
    for step in (5, 7, 10, 12, 14, 16):
        checkpoint.save(tmp_path, step, content(), passing=step % 5 > 0)
    checkpoint.prune(tmp_path, keep=2)
    assert sorted(checkpoint.step_of(path) for path in tmp_path.glob("*.pth")) == [5, 10, 14, 16]
    checkpoint.save(tmp_path, 18, content())
    assert set(json.loads((tmp_path / "manifest.json").read_text())) == {
        f"checkpoint_{step}.pth" for step in (5, 10, 14, 16, 18)
    }


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_files_end_in_a_data_error_or_a_dict(tmp_path, zipped):
    torch.save({"model": {"w": torch.ones(3)}, "step": 3}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    whole, chance = (tmp_path / "a.pth").read_bytes(), random.Random(0)
    path = tmp_path / "checkpoint_3.pth"
    for case in range(300):
        raw = bytearray(whole)
        for _ in range(1 + case % 3):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        path.write_bytes(raw)
        try:
            assert isinstance(checkpoint.load(path), dict)
        except DataError as error:
            assert "checkpoint_3.pth" in str(error) and "\n" not in str(error)


def test_files_of_others_are_left_alone(tmp_path):
    for name in ("checkpoint_best.pth", "checkpoint_3.pth", "checkpoint_x_4.pth"):
        (tmp_path / name).write_bytes(b"mine")
    for step in (5, 6, 7):
        checkpoint.save(tmp_path, step, content(), passing=True)
    checkpoint.prune(tmp_path, keep=1)
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == [
        "checkpoint_3.pth", "checkpoint_7.pth", "checkpoint_best.pth", "checkpoint_x_4.pth",
    ]  # fmt: skip
    assert checkpoint.resolve(tmp_path).name == "checkpoint_7.pth"


@pytest.mark.parametrize(
    "told",
    [
        '{"checkpoint_5.pth": 3}', '{"checkpoint_5.pth": {"bytes": 3}}', "[]", "3", "null", '{"a": []}', '{"a": null}',
        '{"checkpoint_5.pth": {"bytes": "3", "sha256": "a"}}', '{"checkpoint_5.pth": {"bytes": 3, "sha256": 4}}',
    ],
)  # fmt: skip
def test_a_manifest_that_is_none(tmp_path, told):
    path = checkpoint.save(tmp_path, 5, content())
    (tmp_path / "manifest.json").write_text(told)
    for use in (checkpoint.verify, checkpoint.load):
        with pytest.raises(DataError, match=r"manifest.json is no manifest of checkpoints; .*: remove it"):
            use(path)
    (tmp_path / "manifest.json").unlink()
    assert checkpoint.load(checkpoint.resolve(tmp_path))["step"] == 5
