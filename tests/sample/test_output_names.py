"""Prompts at the end of the names of output folders."""

import pytest

from sample.common.results import ending


@pytest.mark.parametrize("words", ["走" * 100, "a/../b", "x" * 300, "jump", "a big. jump"])
def test_prompts_end_the_names_of_folders(words: str):
    assert len(ending(words).encode()) <= 100 and "/" not in ending(words)
    assert ending("a big. jump") == "_a_big_jump" and ending("x" * 300) == "_" + "x" * 99
