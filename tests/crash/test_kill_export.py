"""An export killed at random instants: each sequence of meshes is whole, and the next run clears what was left."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from data_loaders.points.toy import body_motion
from utils.formats import results

ROOT = Path(__file__).parents[2]
LONG, SHORT = 60, 45


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Results of one motion, long and short, in folders of those names."""
    folder = tmp_path_factory.mktemp("made")
    for frames in (LONG, SHORT):
        (folder / str(frames)).mkdir()
        clip = np.resize(body_motion(20.0, 0, 0)[0], (frames, 22, 3)).astype(np.float32)
        content = {"motion": clip[None].transpose(0, 2, 3, 1), "text": ["a"], "lengths": np.array([frames])}
        results.write(folder / str(frames) / "results.npy", content | {"num_samples": 1, "num_repetitions": 1})
    return folder


def start(made: Path, frames: int, out: Path) -> subprocess.Popen:
    line = [sys.executable, "-m", "visualize.render_mesh", str(made / str(frames) / "result_0.mp4"), "--overwrite"]
    line += ["--format", "obj", "--body", "free", "--output_dir", str(out), "--threads", "1"]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_kill_nine_at_random_instants(made, tmp_path):
    out, chance = tmp_path / "out", random.Random(0)
    assert start(made, LONG, out).wait(300) == 0
    for kill in range(6):
        process = start(made, (SHORT, LONG)[kill % 2], out)
        while process.poll() is None and not list(out.glob(f".tmp-{process.pid}-*/.tmp-*")):
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 3))
        process.kill()
        process.wait()
        frames = sorted(path.name for path in (out / "result_0_obj").glob("frame*"))
        whole = [[f"frame{i:03d}.obj" for i in range(count)] for count in (LONG, SHORT)]
        assert frames in whole or (not frames and list(out.glob(".old-*")))
        assert len([entry for entry in out.iterdir() if entry.name.startswith(".tmp-")]) <= 1
    ended = start(made, SHORT, out)
    assert ended.wait(300) == 0, ended.stderr and ended.stderr.read()
    assert [entry.name for entry in out.iterdir()] == ["result_0_obj"]
    assert len(list((out / "result_0_obj").glob("frame*"))) == SHORT
