"""What a name becomes as that of a file: nothing leaves the folder, on any system, and names stay apart."""

import itertools
from pathlib import Path

import pytest

from utils.run.errors import DataError
from utils.run.names import LONGEST, file_name, file_names, inside

HOSTILE = (
    "/abs/x", "../../x", "..", ".", "", " ", "a/b", "a\\b", "C:x", "con", "CON.txt", "nul", "com1", "lpt9.a.b", "a.",
    "a. .", "~", "$HOME", "`id`", "a*?<>|\":b",
    "a\x00b", "a\nb", "\x1b[31m", "\u202ename", "\u2028", "a\udcffb", "-rf", "--help",
    "走" * 100, "🏃" * 100, "a" * 300, "é" * 200, "." * 300, "/" * 300, "con" + " " * 300, "e\u0301" * 200,
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_every_name_is_that_of_a_file(tmp_path: Path, name: str):
    plain = file_name(name)
    assert plain and plain == file_name(plain) and len(plain.encode()) <= LONGEST
    assert not set(plain) & set('/\\:*?"<>|\x00\n\x1b\u202e\u2028') and plain not in (".", "..")
    assert plain[0] not in ".-" and plain[-1] not in ". " and plain.lower().split(".")[0] not in ("con", "nul", "com1")
    path = inside(tmp_path, f"{plain}_smpl_params.npy")
    path.write_text("x")
    assert [each.name for each in tmp_path.iterdir()] == [path.name] and path.resolve().parent == tmp_path.resolve()


def test_good_names_stay_as_they_are():
    for name in ("walk", "sample00_rep01", "走る", "🏃‍♀️ runs", "a b.c", "Ördner", "13_29-jog"):
        assert file_name(name) == name
    assert file_name("cmu/13_29") == "cmu_13_29" and file_name("../x") == "__x" and file_name("CON") == "_CON"
    assert file_name("e\u0301") == "\u00e9"


def test_long_names_are_cut_between_letters_and_stay_apart():
    one, two = file_name("走" * 100), file_name("走" * 100 + "x")
    assert one != two and one.startswith("走" * 37 + "-") and len(one.encode()) == 120
    assert len(file_name("a" * 90, limit=40)) == 40


def test_names_in_one_folder_are_distinct():
    names = [*HOSTILE, "a/b", "a_b", "A_b", "a_b__2", "x", "X"]
    found = file_names(names)
    assert len({name.casefold() for name in found}) == len(names)
    assert file_names(["x", "y"]) == ["x", "y"] and file_names(["a/b", "a_b"]) == ["a_b", "a_b__2"]
    for two in itertools.permutations(("a/b", "a:b", "a_b__2"), 3):
        assert len(set(file_names(two))) == 3


@pytest.mark.parametrize("name", ["/abs/x", "../x", "..", "a/b", "", "."])
def test_what_lies_elsewhere_is_refused(tmp_path: Path, name: str):
    with pytest.raises(DataError, match="is not the name of a file in"):
        inside(tmp_path, name)
