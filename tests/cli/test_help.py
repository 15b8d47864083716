"""Every entry module answers `-h` without torch and refuses an unknown flag in one line."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from utils.run.errors import run_command

ROOT = Path(__file__).parents[2]
FOLDERS = ("utils", "data_loaders", "model", "diffusion", "visualize", "train", "sample", "eval", "prepare")
SLOW_PACKAGES = ("torch", "matplotlib", "cv2")

# Runs `-h` of each module named on its command line, where a slow package cannot be imported.
PROBE = f"""
import contextlib, importlib.abc, io, json, runpy, sys, traceback

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {SLOW_PACKAGES}:
            raise ImportError(f"-h imports {{name}}")

sys.meta_path.insert(0, Refuse())
answers, modules = {{}}, sys.argv[1:]
for module in modules:
    sys.argv, out, err, code = [module, "-h"], io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=False)
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            code = traceback.format_exc()
    answers[module] = [code, out.getvalue(), err.getvalue()]
print(json.dumps(answers))
"""


def entry_modules() -> list[str]:
    """Every module of the project with a `main` at its top, as `python -m` names it."""
    found = []
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text())
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found.append(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found


ENTRIES = entry_modules()


@pytest.fixture(scope="module")
def helps() -> dict[str, list]:
    """Exit code, output and errors of `-h` of each entry, from one process."""
    command = [sys.executable, "-c", PROBE, *ENTRIES]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


def test_entries_are_found():
    assert {"train.train_mdm", "sample.generate", "sample.mas", "prepare.doctor"} <= set(ENTRIES)


@pytest.mark.parametrize("module", ENTRIES)
def test_help_needs_no_torch(module: str, helps: dict[str, list]):
    code, out, err = helps[module]
    assert code == 0, f"{code}\n{err}"
    assert out.startswith(f"usage: python -m {module}") and err == ""


@pytest.mark.parametrize("module", ENTRIES)
def test_unknown_flag(module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", [module, "--no_such_flag", "1"])
    with pytest.raises(SystemExit) as end:
        run_command(importlib.import_module(module).main)
    assert end.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ") and "--no_such_flag" in said.err and said.err.count("\n") == 1
