"""The detector against windows of recorded motion that were labelled by eye (see tests/benchmarks/captioner.py)."""

from pathlib import Path

import pytest

from tests.benchmarks.captioner import measured


@pytest.mark.slow
@pytest.mark.parametrize(("part", "recall", "precision"), [("tuned", 0.97, 0.96), ("held", 0.93, 0.84)])
def test_what_was_seen_is_found_and_little_else(shared: Path, part: str, recall: float, precision: float):
    tally = measured(shared / "data", part)
    assert tally.recall() >= recall
    assert tally.precision() >= precision
