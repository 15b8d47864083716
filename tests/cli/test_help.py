"""Every command answers `-h` without torch and with what people use, and refuses an unknown flag in one line."""

import ast
import contextlib
import importlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from utils.run.errors import run_command

ROOT = Path(__file__).parents[2]
FLAGS = (ROOT / "tests" / "cli" / "flags.txt").read_text().splitlines()
COMMANDS = sorted({line.split()[0] for line in FLAGS})
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


def visible_flags(out: str) -> list[str]:
    """The flags that a help shows, one for each line that begins with one."""
    return re.findall(r"^  (-\S+)", out, re.MULTILINE)


@pytest.mark.parametrize("module", ENTRIES)
def test_help_shows_what_people_use(module: str, helps: dict[str, list]):
    shown = visible_flags(helps[module][1])
    assert len(shown) <= 25 and "-h," in shown


@pytest.mark.parametrize("module", COMMANDS)
def test_all_of_the_help_shows_every_flag(module: str, capsys: pytest.CaptureFixture[str]):
    frozen = [line.split()[1].rstrip(",") for line in FLAGS if line.startswith(f"{module} ")]
    with pytest.raises(SystemExit) as end:
        importlib.import_module(module).main(["--help_all"])
    assert not end.value.code
    shown = [flag.rstrip(",") for flag in visible_flags(capsys.readouterr().out)]
    assert sorted(shown) == sorted(["-h", *frozen])


def help_of(module: str, *line: str) -> str:
    """What `-h` says after such a line, its white space as single spaces."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit):
        importlib.import_module(module).main([*line, "-h"])
    return " ".join(out.getvalue().split())


def test_help_says_the_defaults_that_would_hold(tmp_path: Path):
    assert "--lr LR learning rate (default: 1e-05)" in help_of("train.train_mdm")
    assert "--lr LR learning rate (default: 0.0001)" in help_of("train.train_mdm", "--dataset", "humanml")
    assert "bone lengths (default: rigid)" in help_of("sample.mas")
    assert "bone lengths (default: raw)" in help_of("sample.mas", "--compat", "published")
    (tmp_path / "config.json").write_text('{"lr": 0.5, "dataset": "kit"}')
    config = help_of("train.train_mdm", "--config", str(tmp_path / "config.json"))
    assert "(default: 0.5)" in config and "(default: ./dataset/KIT-ML)" in config and "the dataset's, " not in config


@pytest.mark.parametrize("line", [("--model_path", "no/such/model"), ("--config", "no.json"), ("--num_samples", "x")])
def test_help_is_there_for_a_line_that_cannot_run(line: tuple[str, ...]):
    assert "how many motions (default: 10)" in help_of("sample.mas", *line)


@pytest.mark.parametrize(
    ("module", "preset", "config", "own"),
    [
        ("eval.evaluate", "bone lengths (default: raw)", {"bones": "rigid"}, "bone lengths (default: rigid)"),
        ("eval.prompts", "seconds (default: 4.0)", {"motion_length": 2.5}, "seconds (default: 2.5)"),
    ],
)
def test_presets_of_a_command_are_its_defaults(tmp_path: Path, module: str, preset: str, config: dict, own: str):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert preset in help_of(module)
    assert own in help_of(module, "--config", str(tmp_path / "config.json"))
