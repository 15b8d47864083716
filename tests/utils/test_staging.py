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


def half_done(folder, after: int) -> None:
    """A process that is killed when it has given `after` of the names a, b and c."""
    (folder / "b").write_text("old")
    line = (
        "import os, sys; from pathlib import Path; from utils.run import staging\n"
        "real, given = staging._give_name, []\n"
        "def give(made, path):\n"
        "    os.kill(os.getpid(), 9) if len(given) == int(sys.argv[2]) else given.append(path)\n"
        "    real(made, path)\n"
        "staging._give_name = give\n"
        "with staging.staged(sys.argv[1]) as made:\n"
        "    [(made / name).write_text('new') for name in 'abc']\n"
    )
    assert subprocess.run([sys.executable, "-c", line, str(folder), str(after)]).returncode == -9


@pytest.mark.parametrize("after", [0, 1, 2])
def test_what_was_half_done_is_finished_by_the_next_run(tmp_path, after):
    half_done(tmp_path, after)
    assert sorted(content(tmp_path).values()).count("new") == 3
    clear_leftovers(tmp_path)
    assert content(tmp_path) == {"a": "new", "b": "new", "c": "new"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_what_somebody_put_there_since_stays(tmp_path):
    half_done(tmp_path, 0)
    (tmp_path / "a").write_text("mine")
    (tmp_path / "b").unlink()
    (tmp_path / "b").write_text("mine too")
    os.utime(tmp_path / "b", (1, 1))
    clear_leftovers(tmp_path)
    assert content(tmp_path) == {"a": "mine", "b": "mine too", "c": "new"}


def test_forged_leftovers_lead_nowhere_else(tmp_path):
    folder = tmp_path / "out"
    work = folder / f".tmp-{dead_process()}-x"
    (work / "files").mkdir(parents=True)
    (work / "files" / "a").write_text("forged")
    (tmp_path / "mine").write_text("mine")
    (work / "given.json").write_text('{"../mine": null, "../../mine": null, "/etc/x": null}')
    clear_leftovers(folder)
    assert list(folder.iterdir()) == [] and (tmp_path / "mine").read_text() == "mine"
