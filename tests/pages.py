"""The pages of the project as tests read them: their blocks, their command lines, what they name."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]
_WHERE = ("README.md", "CONTRIBUTING.md", "docs/*.md", "*/README.md", "save/*/README.md", "save/*/*/README.md")
PAGES = sorted(str(path.relative_to(ROOT)) for pattern in _WHERE for path in ROOT.glob(pattern))
_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.M | re.S)
_INDENTED = re.compile(r"(?:^|\n)\n((?:    .*\n)+)")
_SPAN = re.compile(r"`([^`\n]+)`")
_PYTHON = re.compile(r"^(?:\.venv/bin/)?python3?$")


@dataclass(frozen=True)
class Line:
    """A command line of a page: the module (or script) and its arguments."""

    module: str
    arguments: tuple[str, ...]
    text: str


def text_of(page: str) -> str:
    """What a page says."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, kind: str = "") -> list[str]:
    """The blocks of code of a page; only fenced ones of a `kind`, which stands behind the fence, where it is told."""
    text = text_of(page)
    fenced = [(name.strip(), body) for name, body in _FENCE.findall(text)]
    if kind:
        return [body for name, body in fenced if name == kind]
    return [body for _, body in fenced] + _INDENTED.findall(_FENCE.sub("", text))


def spans(page: str) -> list[str]:
    """The pieces of code inside the text of a page."""
    return _SPAN.findall(_FENCE.sub("", text_of(page)))


def shell_lines(block: str) -> Iterator[str]:
    """The lines of a block, continued ones whole, `NAME="..."` of the block put in for $NAME, without comments."""
    variables: dict[str, str] = {}
    for line in block.replace("\\\n", " ").splitlines():
        if found := re.match(r'^\s*([A-Z]+)="([^"]*)"$', line):
            variables[found[1]] = found[2]
            continue
        line = re.sub(r"\s#\s.*$|^#.*$", "", line)
        yield re.sub(r"\$([A-Z]+)", lambda name: variables.get(name[1], name[0]), line).strip()


def command(line: str) -> Line | None:
    """The command of the project on a line of a shell, if there is one; `...` stands for more of the same."""
    try:
        words = [word for word in shlex.split(line) if word != "..."]
    except ValueError:
        return None
    while words and re.match(r"^[A-Z_]+=", words[0]):
        words = words[1:]
    if words[:1] == ["blender"] and "--" in words:
        script = words[words.index("--python") + 1]
        return Line(script, tuple(words[words.index("--") + 1 :]), line)
    if words[:1] == ["torchrun"] and "-m" in words:
        at = words.index("-m")
    elif len(words) > 2 and _PYTHON.match(words[0]) and words[1] == "-m":
        at = 1
    elif len(words) > 1 and _PYTHON.match(words[0]) and words[1].endswith(".py"):
        return Line(words[1], tuple(words[2:]), line)
    else:
        return None
    return Line(words[at + 1], tuple(words[at + 2 :]), line)


def commands(page: str) -> list[Line]:
    """Every command line of the project on a page, in blocks and inside the text."""
    lines = [line for block in blocks(page) for line in shell_lines(block)] + spans(page)
    found = [line for line in map(command, lines) if line]
    return [line for line in found if line.module not in ("venv", "pip", "NAME")]


def links(page: str) -> list[str]:
    """Where the links and pictures of a page lead, but for other sites."""
    text = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text_of(page)))
    return [to for to in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"https?:", to)]


def anchors(page: str) -> set[str]:
    """The names of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", text_of(page)), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def ignored(path: str) -> bool:
    """Whether `.gitignore` leaves a path of the repository to its user."""
    answer = False
    for rule in (ROOT / ".gitignore").read_text().splitlines():
        kept, pattern = rule.startswith("!"), rule.removeprefix("!").strip("/")
        parts = Path(path).parts[: len(Path(pattern).parts)] if "/" in pattern or rule.lstrip("!")[:1] == "/" else ()
        if parts and fnmatch("/".join(parts), pattern):
            answer = not kept
    return answer


def module_path(name: str) -> Path | None:
    """The file or folder of a module of the project."""
    base = ROOT.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base) if path.exists()), None)


def names_in(path: Path) -> set[str]:
    """What a module defines at its top; of a folder the modules in it."""
    if path.is_dir():
        return {each.stem for each in path.iterdir()}
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return names
