"""What the pages say is so: command lines parse, links and files are there, names are today's, examples run."""

import argparse
import ast
import importlib
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests import pages
from tests.cli.test_help import ENTRIES
from tests.pages import PAGES, ROOT
from utils.run import options
from utils.run.files import read_json

FOLDERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
OF_BLENDER = "visualize/blender_import.py"
LINES = [pytest.param(line, id=f"{page}: {line.text[:90]}") for page in PAGES for line in pages.commands(page)]
# Blocks of ```sh tested, which are run by the line, in their order; with small settings where nothing is lost by it.
TRIED = [page for page in PAGES if pages.blocks(page, "sh tested")]
SMALL = {"sample.mas": "--sampler ddim --sampling_steps 6", "sample.stream": "--seconds 6"}
PLACES = {"runs/": "runs", "dataset/toy": "dataset", "save/toy": "save"}  # what they write, and where to instead


class ParsedError(Exception):
    """Raised in place of running a command whose line was understood."""


@pytest.fixture
def parsing_only(monkeypatch: pytest.MonkeyPatch):
    """Commands end with `ParsedError` once their line is understood, before anything is loaded."""
    whole, read_saved = options.parse, options.read_saved

    def parse(*given: Any, **told: Any) -> Any:
        whole(*given, **told)
        raise ParsedError

    def saved_or_nothing(path: Any, *given: Any, **told: Any) -> Mapping[str, Any]:
        return read_saved(path, *given, **told) if (ROOT / path).exists() else {}

    def parsed(parser: argparse.ArgumentParser, argv: Any = None, namespace: Any = None) -> Any:
        _, unknown = parser.parse_known_args(argv, namespace)
        assert unknown == []
        raise ParsedError

    monkeypatch.setattr(options, "read_saved", saved_or_nothing)
    monkeypatch.setattr(options, "read_json", lambda path: read_json(path) if (ROOT / path).exists() else {})
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    for needed in ("sample.common.session", "train.common.loop", "eval.common.work", "body.from_joints"):
        monkeypatch.setitem(sys.modules, needed, None)  # a command that went on would end here

    def load(module: str) -> Any:
        loaded = importlib.import_module(module)
        for each in list(sys.modules.values()):
            if getattr(each, "parse", None) is whole:
                monkeypatch.setattr(each, "parse", parse)
        return loaded

    return load


def test_pages_are_found():
    assert {"README.md", "docs/text.md", "eval/README.md", "save/mocap2d/README.md", "CONTRIBUTING.md"} <= set(PAGES)
    assert len(LINES) > 90 and len(TRIED) >= 4


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_parses(line: pages.Line, parsing_only, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    if line.module.startswith("examples"):
        assert pages.module_path(line.module)
        return
    if line.module.endswith(".py"):
        assert (ROOT / line.module).is_file()
        module, start = line.module.removesuffix(".py").replace("/", "."), "run"
    else:
        module, start = line.module, "main"
        assert module in ENTRIES
    try:
        getattr(parsing_only(module), start)(list(line.arguments))
    except ParsedError:
        return
    except SystemExit as end:
        assert line.arguments == ("-h",) and not end.code
        return
    assert module == "prepare.doctor", "a command that parses in a way of its own"


@pytest.mark.parametrize("flags", ["--no_such_flag 1", "--num_views many", "--fit guess"])
def test_a_wrong_line_does_not(flags: str, parsing_only):
    with pytest.raises(options.UsageError):
        parsing_only("sample.mas").main(flags.split())


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str):
    here = (ROOT / page).parent
    for link in pages.links(page):
        path, _, anchor = link.partition("#")
        target = (here / path).resolve() if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in pages.anchors(str(target.relative_to(ROOT))), f"{page}: {link}"


@pytest.mark.parametrize("page", [*PAGES, "NOTICE.md"])
def test_named_files_exist(page: str):
    """A path from the repository's root, in code or inside the text, is there, or is left to the user."""
    begin = "|".join([*FOLDERS, "assets", "tests", "docs", "examples", "save", "dataset", "body_models", r"\.ci"])
    for text in pages.spans(page):
        if not re.fullmatch(rf"(?:{begin})/[\w./{{}},*-]*", text):
            continue
        stem, braces, rest = re.match(r"([^{]*)(?:\{([^}]*)\})?(.*)", text).groups()  # type: ignore[union-attr]
        for word in (braces or "").split(","):
            path = f"{stem}{word}{rest}"
            there = list(ROOT.glob(path.rstrip("/"))) if "*" in path else (ROOT / path).exists()
            assert there or pages.ignored(path), f"{page} names {text}, which is not there"


@pytest.mark.parametrize("page", [*PAGES, "NOTICE.md"])
def test_named_modules_exist(page: str):
    """A dotted name that begins with a folder of the project is a module there, or something that one defines."""
    for text in pages.spans(page):
        if not re.fullmatch(rf"(?:{'|'.join(FOLDERS)})(?:\.\w+)+", text) or text.endswith((".py", ".md", ".npy")):
            continue
        parts = text.split(".")
        module = next(n for n in range(len(parts), 0, -1) if pages.module_path(".".join(parts[:n])))
        path = pages.module_path(".".join(parts[:module]))
        assert path and (module == len(parts) or parts[module] in pages.names_in(path)), f"{page} names {text}"


def test_every_command_is_in_the_table_of_the_readme():
    rows = re.findall(r"^\| `([\w.]+)` \|", pages.text_of("README.md"), re.M)
    commands = {name for name in ENTRIES if name.split(".")[0] in ("sample", "train", "eval", "visualize", "prepare")}
    assert len(rows) == len(set(rows))
    assert set(rows) == commands | {OF_BLENDER.removesuffix(".py").replace("/", ".")}


def test_make_targets_on_pages_exist():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {
        target
        for page in PAGES
        for text in [*pages.spans(page), *"\n".join(pages.blocks(page)).splitlines()]
        for target in re.findall(r"^\s*make ([a-z-]+)", text)
    }
    assert {"demo", "test"} <= named <= targets


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    (code,) = pages.blocks("README.md", "python")
    assert len(code.splitlines()) <= 10
    monkeypatch.chdir(ROOT)
    exec(compile(code.replace('"runs/', f'"{tmp_path}/'), "README.md", "exec"), {})
    assert len(re.findall(r"\(\d+, 22, 3\) 20 \('pelvis', 'left_hip'", capsys.readouterr().out)) == 2
    assert [path.suffix for path in (tmp_path / "python").glob("*.glb")] == [".glb"]


def test_the_page_of_files_names_every_key_of_an_export(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    importlib.import_module("examples.04_body_to_glb").main(str(tmp_path), "npz", "smplx")
    told = set(pages.spans("docs/bodies_and_files.md"))
    for name in ("toy_walk.npz", "toy_walk_smplx.npz"):
        with np.load(tmp_path / name) as archive:
            assert {"poses", "trans"} <= set(archive.files) <= told, name


def test_python_on_pages_imports_what_is_there():
    for page in PAGES:
        for code in pages.blocks(page, "python"):
            for node in ast.walk(ast.parse(code)):
                if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in FOLDERS:
                    path = pages.module_path(str(node.module))
                    assert path and {alias.name for alias in node.names} <= pages.names_in(path), page


def test_pins_of_pre_commit_are_those_of_the_set_up():
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.search(r"ruff-pre-commit\n\s+rev: v(\S+)", hooks)[1] == pins["ruff"]  # type: ignore[index]


def test_citation_names_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    said = dict(re.findall(r"^([\w-]+): (\S.*)$", (ROOT / "CITATION.cff").read_text(), re.M))
    assert (said["cff-version"], said["version"], said["license"]) == ("1.2.0", project["version"], project["license"])
    papers = re.findall(r'^    title: "?(.*?)"?$', (ROOT / "CITATION.cff").read_text(), re.M)
    assert {"MAS", "CLoSD", "Human Motion Diffusion Model"} <= {title.partition(":")[0] for title in papers}


@pytest.mark.slow
def test_tested_blocks_run(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Every line of ```sh tested on every page ends well, typed by a reader who begins with text and MAS."""
    monkeypatch.chdir(ROOT)

    def moved(word: str) -> str:
        start = next((start for start in PLACES if word.startswith(start)), None)
        return str(tmp_path / word) if start else word

    for place in set(PLACES.values()):
        (tmp_path / place).mkdir()
    order = sorted(TRIED, key=["docs/text.md", "docs/mas.md"].__contains__, reverse=True)
    tried = [block for page in order for block in pages.blocks(page, "sh tested")]
    for line in (line for block in tried for line in pages.shell_lines(block) if line):
        if found := pages.command(line):
            argv = [*map(moved, found.arguments), *SMALL.get(found.module, "").split()]
            importlib.import_module(found.module).main(argv)
            continue
        assert line.startswith("cp "), f"not a command that the test knows: {line}"
        *sources, target = map(moved, line.split()[1:])
        for source in sources:
            shutil.copy(source, target)
    assert len(list((tmp_path / "runs").iterdir())) > 8
