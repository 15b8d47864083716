"""A command works whatever became of its standard input and output, and says in a sentence what it cannot read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORK = """
import sys
from pathlib import Path
from utils.run.errors import run_command

def main(argv):
    for k in range(2000):
        print("a line that nobody may read", k, "f\\udcfcr")
    out = open(argv[0], "w")
    print(f"at work {sys.stdin.read()!r}", file=sys.stderr, flush=True)
    with out:
        out.write("done")

run_command(main)
"""


def shell(line: str, *words: object, code: str = WORK) -> subprocess.CompletedProcess[bytes]:
    """A line of the shell in which `work` is a program that prints and then writes a file."""
    full = f'set -o pipefail; work() {{ {sys.executable} -c "$CODE" "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", full, "bash", *map(str, words)], cwd=ROOT, env=os.environ | {"CODE": code}, capture_output=True
    )


@pytest.mark.parametrize(
    "line",
    ["< /dev/null | head -1", "< /dev/null >&-", "<&- > /dev/null", "<&- >&- 2>&-", "< /dev/null > /dev/full",
     "< /dev/null 2>/dev/full", "< /dev/null 2>&1 | true"],
)  # fmt: skip
def test_the_work_goes_on(line, tmp_path):
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    done = shell(f'work "$1" {line}', tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_text() == "done"


def test_what_is_printed_arrives(tmp_path):
    done = shell('work "$1" < /dev/null', tmp_path / "out")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 2000 and lines[-1].endswith("1999 f\\udcfcr") and done.stderr == b"at work ''\n"


def test_a_result_that_is_printed_needs_a_reader():
    code = WORK.replace("run_command(main)", "run_command(main, whoever_reads=False)")
    done = shell('work "$1" < /dev/null > /dev/full', "out", code=code)
    assert done.returncode == 4 and b"No space left" in done.stderr


def test_words_that_are_no_text():
    done = shell("work $'f\\xfcr.txt'")
    assert done.returncode == 2
    assert (
        done.stderr.decode() == "error: f\\xfcr.txt is no UTF-8 text: rename the file, or set the terminal to UTF-8\n"
    )
