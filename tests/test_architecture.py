"""Rules of the house that the layer contracts of pyproject.toml cannot say."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = SETTINGS["tool"]["importlinter"]["root_packages"]


def parse_modules() -> dict[str, ast.Module]:
    """The syntax tree of every module of the project."""
    paths = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text()) for path in paths}


MODULES = parse_modules()
ENTRIES = sorted(
    name
    for name, tree in MODULES.items()
    if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
)


INSTALLED_ELSEWHERE = {"visualize.blender_import"}  # runs inside Blender


def imported(tree: ast.Module) -> set[str]:
    """The modules that a module imports anywhere; of `from a import b` both a and a.b."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_folder_of_code_is_known_to_the_contracts():
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert folders == set(FOLDERS)
    assert set(SETTINGS["tool"]["pyright"]["include"]) == set(FOLDERS)
    assert set(SETTINGS["tool"]["ruff"]["lint"]["isort"]["known-first-party"]) == set(FOLDERS)


@pytest.mark.parametrize("entry", ENTRIES)
def test_nobody_imports_an_entry(entry: str):
    assert [name for name, tree in MODULES.items() if name != entry and entry in imported(tree)] == []


LAYERS = SETTINGS["tool"]["importlinter"]["contracts"][0]["layers"]
LIBRARY = {name for layer in LAYERS for name in re.split(r"\s*[:|]\s*", layer)}


@pytest.mark.parametrize("name", sorted(set(MODULES) - set(ENTRIES)))
def test_every_module_is_a_command_or_on_a_floor(name: str):
    parents = {name.rsplit(".", cut)[0] for cut in range(name.count(".") + 1)}
    assert parents & LIBRARY or name.endswith("__init__") or name in INSTALLED_ELSEWHERE


@pytest.mark.parametrize("entry", ENTRIES)
def test_entry_runs_as_a_command(entry: str):
    """`python -m entry` reaches main through run_command, which turns errors into a line and an exit code."""
    last = ast.unparse(MODULES[entry].body[-1])
    assert re.fullmatch(r"if __name__ == '__main__':\s+run_command\(main(, whoever_reads=False)?\)", last)


def test_pins_are_what_pyproject_lists():
    """What `make setup` installs is exactly the dependencies and the tools, each within its range."""
    files = [ROOT / "constraints.txt", ROOT / "constraints-no-deps.txt"]
    lines = [line for file in files for line in file.read_text().splitlines() if line and not line.startswith("#")]
    pins = dict(line.split("==") for line in lines)
    project = SETTINGS["project"]
    listed = [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["dev"]]
    assert set(pins) == {requirement.name for requirement in listed}
    assert [str(item) for item in listed if not item.specifier.contains(pins[item.name])] == []
    assert [str(item) for item in listed if not item.specifier] == []
