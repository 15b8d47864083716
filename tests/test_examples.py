"""The examples run, as a reader would run them, and stay short."""

import ast
import importlib
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.pages import ROOT
from utils.formats import bvh, glb, smpl_motion

FILES = sorted(path for path in (ROOT / "examples").glob("*.py"))
SHORT = ("--sampling_steps", "3", "--motion_length", "1.5")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A function that runs an example from the repository's root and returns what it prints."""
    monkeypatch.chdir(ROOT)

    def run(name: str, *arguments: object) -> str:
        importlib.import_module(f"examples.{name}").main(*map(str, arguments))
        return capfd.readouterr().out

    return run


def frames(path: Path) -> int:
    """How many pictures a video holds."""
    return int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT))


def test_they_are_numbered_short_and_tested():
    assert [path.name[:2] for path in FILES] == [f"{number:02}" for number in range(1, len(FILES) + 1)]
    assert [path.name for path in FILES if len(path.read_text().splitlines()) > 40] == []
    tests = Path(__file__).read_text()
    assert [path.stem for path in FILES if f'"{path.stem}"' not in tests] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_says_how_it_is_run_and_runs_as_it_says(path: Path):
    tree = ast.parse(path.read_text())
    assert f"\npython -m examples.{path.stem}" in (ast.get_docstring(tree) or "")
    assert ast.unparse(tree.body[-1]) == "if __name__ == '__main__':\n    main(*sys.argv[1:])"


def test_text_to_motion(example, tmp_path):
    said = example("01_text_to_motion", tmp_path, 3)
    lengths = [int(length) for length in re.findall(r"\((\d+), 22, 3\) at 20 frames a second", said)]
    assert len(lengths) == 2 and all(40 <= length <= 120 for length in lengths)
    assert [frames(tmp_path / f"walk_{number}.mp4") for number in (0, 1)] == lengths


def test_motion_from_2d(example, tmp_path):
    said = example("02_motion_from_2d", tmp_path, *SHORT, "--num_views", 3)
    assert "motions (2, 30, 16, 3)" in said and "± 0.00" in said, "bones are rigid"
    assert [frames(tmp_path / f"dance_{number}.mp4") for number in (0, 1)] == [60, 60]


def test_edit(example, tmp_path):
    said = example("03_edit", "", tmp_path, *SHORT)
    assert "30 frames, of which 15 were kept" in said
    assert frames(tmp_path / "edited.mp4") == 30


def test_body_to_glb(example, tmp_path):
    example("04_body_to_glb", tmp_path, "glb", "bvh", "npz")
    (body,) = glb.read(tmp_path / "toy_walk.glb")
    skeleton, parameters = bvh.read(tmp_path / "toy_walk.bvh"), smpl_motion.read(tmp_path / "toy_walk.npz")
    assert len(body.root) == len(skeleton.positions) == len(parameters.trans) > 40
    assert np.ptp(body.root[:, 2]) > 1, "it walks ahead"


def test_physical_metrics(example, tmp_path):
    said = example("05_physical_metrics")
    assert [name in said for name in ("walk", "jump", "dance", "foot_sliding")] == [True] * 4
    still = np.zeros((20, 22, 3), np.float32) + rest()
    np.save(tmp_path / "still.npy", still)
    assert "jitter 0.00" in example("05_physical_metrics", tmp_path / "still.npy")


def rest() -> np.ndarray:
    """A person [22, 3] in the middle of a step."""
    from data_loaders.points.toy import body_motion

    return body_motion(20.0, 0, 7)[0][0]


@pytest.mark.slow
def test_fine_tune(example, tmp_path):
    said = example("06_fine_tune", tmp_path, 2)
    first = next(line for line in said.splitlines() if line.startswith("step: 1 "))
    assert float(first.split("rot_mse:")[1].split()[0]) < 0.6, "from scratch it is 2"
    assert (tmp_path / "samples" / "results.npy").is_file()


@pytest.mark.slow
def test_moving_picture(example, tmp_path):
    example("07_moving_picture", tmp_path / "small.gif", 64, 20, 3)
    assert frames(tmp_path / "small.gif") == 10
