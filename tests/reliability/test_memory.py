"""Too little memory ends in a sentence that says what to lower, and leaves nothing behind."""

import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.faults import forked
from tests.reliability.trainings import Place, assert_said, command

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to limit its own memory"),
]


def bounded(work: Callable[[], None], megabytes: int) -> Callable[[], None]:
    """Work that may take so much memory beside what the process has."""

    def run() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + (megabytes << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        work()

    return run


@pytest.mark.parametrize("module", ["sample.generate", "sample.mas"])
def test_sampling(module: str, origin: Path, work: Path):
    flags = "--num_samples 500 --max_batch 500 --motion_length 20 --threads 1"
    line = command(module, "--model_path", origin / "once", "--output_dir", work / "out", flags)
    ended = forked(bounded(line, 40), work)
    assert_said(ended.code, ended.said, (4,))
    assert "error: out of memory; lower " in ended.said
    assert list(work.iterdir()) == []


def test_training(origin: Path, work: Path):
    place = Place(origin / "data", work / "run")
    ended = forked(bounded(place.begin("--latent_dim 4096 --ff_size 16384"), 300), work)
    assert_said(ended.code, ended.said, (4,))
    assert "error: out of memory; lower " in ended.said
