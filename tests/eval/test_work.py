"""Units of work: each done once, by whichever rank, kept at once, taken up again."""

import json
from pathlib import Path

import numpy as np
import pytest

from eval.common.work import parts, path_of, run_units, unit_folder
from utils.run.arrays import load_archive
from utils.run.errors import UsageError


class Counted:
    """Units that count how often each was done."""

    def __init__(self, count: int):
        self.done: list[str] = []
        self.units = {f"u{k}": lambda k=k: self.make(k) for k in range(count)}

    def make(self, k: int) -> dict[str, np.ndarray]:
        self.done.append(f"u{k}")
        return {"value": np.full(2, k)}


def work(folder: Path, made: Counted, resume: bool = False, **settings: object) -> None:
    with unit_folder(folder, {"seed": 0} | settings, resume):
        run_units(folder, made.units)


def test_every_unit_is_done_once_and_kept(tmp_path, capsys):
    made = Counted(3)
    work(tmp_path / "units", made)
    assert made.done == ["u0", "u1", "u2"]
    for k in range(3):
        assert load_archive(path_of(tmp_path / "units", f"u{k}"))["value"].tolist() == [k, k]
    assert "3 of 3 (u2)" in capsys.readouterr().err
    assert not (tmp_path / "units" / "run.lock").exists()


def test_what_a_broken_run_left_is_taken_up_and_the_rest_made(tmp_path, capsys):
    folder, broken = tmp_path / "units", Counted(3)
    broken.units["u1"] = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        work(folder, broken)
    (folder / ".tmp-1-u1.npz").write_bytes(b"half")
    again = Counted(4)
    work(folder, again, resume=True)
    assert again.done == ["u1", "u2", "u3"]
    assert "1 of 4 units were there already" in capsys.readouterr().err
    assert not list(folder.glob(".tmp-*"))


def test_without_resume_all_is_made_anew_and_nothing_old_stays(tmp_path):
    folder = tmp_path / "units"
    work(folder, Counted(3))
    (folder / "inner").mkdir()
    anew = Counted(2)
    work(folder, anew)
    assert anew.done == ["u0", "u1"]
    assert sorted(path.name for path in folder.iterdir()) == ["settings.json", "u0.npz", "u1.npz"]


def test_ranks_share_the_units_and_leave_the_same(tmp_path, monkeypatch):
    """Two ranks in turn (nobody waits here): what each does depends on its number alone, and together it is all."""
    monkeypatch.setattr("eval.common.work.wait_for_ranks", lambda: None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = []
    for rank in (0, 1):
        monkeypatch.setenv("RANK", str(rank))
        made = Counted(5)
        work(tmp_path / "two", made)
        done.append(made.done)
    assert done == [["u0", "u2", "u4"], ["u1", "u3"]]
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.delenv("RANK")
    work(tmp_path / "one", Counted(5))
    for k in range(5):
        assert path_of(tmp_path / "one", f"u{k}").read_bytes() == path_of(tmp_path / "two", f"u{k}").read_bytes()


def test_other_settings_are_told_by_name(tmp_path):
    folder = tmp_path / "units"
    work(folder, Counted(1), num_views=7)
    with pytest.raises(UsageError, match="num_views 7, now it is 5"):
        work(folder, Counted(1), resume=True, num_views=5)
    assert json.loads((folder / "settings.json").read_text())["num_views"] == 7


def test_a_folder_of_anything_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    for resume in (False, True):
        with pytest.raises(UsageError, match="not a folder of evaluation samples"):
            work(tmp_path, Counted(1), resume)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_runs_do_not_share_a_folder(tmp_path):
    with unit_folder(tmp_path / "units", {}, False), pytest.raises(UsageError, match="in use"):
        work(tmp_path / "units", Counted(1))


def test_parts():
    assert [rows.indices(70)[:2] for rows in parts(70, 32)] == [(0, 32), (32, 64), (64, 70)]
