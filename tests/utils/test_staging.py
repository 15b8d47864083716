"""Files that get their names together: nothing of what was there is touched before, nothing temporary stays."""

import os
import subprocess
import sys

import pytest

from utils.run.errors import DataError
from utils.run.staging import clear_leftovers, staged


def dead_process() -> int:
    """The number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def content(folder) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_files_and_folders_take_the_place_of_those_of_their_names(tmp_path):
    (tmp_path / "walk_obj").mkdir()
    (tmp_path / "walk_obj/old.obj").write_text("old")
    (tmp_path / "walk.glb").write_text("old")
    (tmp_path / "note.txt").write_text("mine")
    with staged(tmp_path) as staging:
        (staging / "walk.glb").write_text("new")
        (staging / "walk_obj").mkdir()
        (staging / "walk_obj/new.obj").write_text("new")
        assert (tmp_path / "walk.glb").read_text() == "old" and (tmp_path / "walk_obj/old.obj").exists()
    assert content(tmp_path) == {"note.txt": "mine", "walk.glb": "new", "walk_obj/new.obj": "new"}


def test_a_link_is_replaced_and_not_what_it_leads_to(tmp_path):
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "mine").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/walk_obj").symlink_to(target)
    with staged(tmp_path / "out") as staging:
        (staging / "walk_obj").mkdir()
    assert not (tmp_path / "out/walk_obj").is_symlink() and (target / "mine").read_text() == "mine"


def test_a_failure_leaves_everything_as_it_was_and_speaks_of_the_final_name(tmp_path):
    (tmp_path / "walk.glb").write_text("old")
    with pytest.raises(DataError) as caught, staged(tmp_path) as staging:
        (staging / "walk.glb").write_text("new")
        raise DataError(f"{staging / 'walk.glb'} is broken")
    assert str(caught.value) == f"{tmp_path / 'walk.glb'} is broken"
    assert content(tmp_path) == {"walk.glb": "old"}
    with pytest.raises(DataError), staged(tmp_path / "new"):
        raise DataError("no")
    assert not (tmp_path / "new").exists()


def test_only_what_dead_processes_left_is_cleared(tmp_path):
    dead, alive = dead_process(), os.getppid()
    for name in (f".tmp-{dead}-a.glb", f".tmp-{alive}-b.glb", ".tmp-notes", f".old-{dead}-kept.glb", "kept.glb"):
        (tmp_path / name).write_text(name)
    for name in (f".tmp-{dead}-folder", f".old-{dead}-lost_obj"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "frame000.obj").write_text("v")
    clear_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f".tmp-{alive}-b.glb", ".tmp-notes", "kept.glb", "lost_obj",
    ]  # fmt: skip
    assert (tmp_path / "kept.glb").read_text() == "kept.glb" and (tmp_path / "lost_obj/frame000.obj").exists()


def test_what_an_earlier_process_of_the_same_number_left_is_cleared(tmp_path):
    old, new = (tmp_path / f".tmp-{os.getpid()}-{name}" for name in ("old", "new"))
    for path in (old, new):
        path.write_text("")
    os.utime(old, (1, 1))
    clear_leftovers(tmp_path)
    assert not old.exists() and new.exists()
