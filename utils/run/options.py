"""Options: frozen dataclasses, one a concern; each field is a flag, its default, its help and its choices.

Order, lowest to highest: field default < defaults of the dataset < presets of the command < `args.json` of the
checkpoint (only the groups that describe it) < `--config file.json` < command line. Entry modules parse before they
import torch.
"""

import dataclasses
import math
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from utils.run.errors import DataError, MissingFileError, PolykineError, UsageError, is_text
from utils.run.files import read_json
from utils.run.parser import HELP, HELP_ALL, build_parser, nearest, out_of_bounds, scalar_type
from utils.run.project import found

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LINEAR = ("auto", "mkl", "onednn")  # what `utils.run.processor` may choose


def option(
    default: Any,
    help: str,
    choices: Sequence[Any] | None = None,
    aliases: Sequence[str] = (),
    many: bool = False,
    min: float = -math.inf,
    max: float = math.inf,
    saved_default: Any = None,
    advanced: bool = False,
    shipped: bool = False,
) -> Any:
    """A dataclass field that is also a flag.

    `many` takes several values after the flag; `min` and `max` bound a number. `saved_default` is the value of a
    checkpoint whose `args.json` does not name the field: what the published programs, which lack the flag, always do.
    `advanced`: few people need it, so `--help_all` shows it and `-h` does not. `shipped` is for a path to read: the
    project may hold what lies nowhere else (`utils.run.project.found`).
    """
    meta = {"help": help, "choices": choices, "aliases": tuple(aliases), "many": many, "bounds": (min, max)}
    meta |= {"saved_default": saved_default, "advanced": advanced, "shipped": shipped}
    return field(default=default, metadata=meta)


@dataclass(frozen=True)
class RunOptions:
    """What every command takes."""

    device: str = option("0", "cpu, cuda, cuda:1, mps or a GPU index; the CPU is used where there is no GPU")
    cuda: bool = option(True, "False: the CPU, as --device cpu", advanced=True)
    seed: int = option(0, "sample i depends on (seed, i) only; training on (seed, step)", min=0, max=2**32 - 1)
    compat: str = option(
        "none", "published: the published programs' draws, order and solvers", ("none", "published"), advanced=True
    )
    precision: str = option("fp32", "arithmetic of the network", ("fp32", "bf16"), advanced=True)
    threads: int = option(0, "CPU threads; 0 leaves torch's choice", min=0, advanced=True)
    linear: str = option(
        "auto", "what multiplies matrices on the CPU; auto: by the processor's maker", LINEAR, advanced=True
    )
    config: str = option("", "a JSON file of flags; the command line wins over it")
    external_mode: bool = option(False, "published, and without effect there too", advanced=True)


Refusal = Callable[[str], PolykineError]


def _checked(item: dataclasses.Field[Any], annotation: Any, value: Any, refusal: Refusal) -> Any:
    """A value from a file, held against the field's type and choices; raises `refusal(what is wrong)`."""
    kind = scalar_type(annotation)
    if item.metadata["many"]:
        value = tuple(value) if isinstance(value, list) else (value,)
        for word in value:
            _check_word(item, word, refusal)
        return value
    if value is None and type(None) in get_args(annotation):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and kind in (float, str):
        value = kind(value)
    if isinstance(value, str) and not is_text(value):
        raise refusal(f"{item.name} is {value!r}, which is no text")
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise refusal(f"{item.name} is {value!r}, not {kind.__name__}")
    if isinstance(value, int | float) and (fault := out_of_bounds(value, item.metadata["bounds"])):
        raise refusal(f"{item.name} is {value}, which is {fault}")
    if item.metadata["choices"] is not None:
        _check_word(item, value, refusal)
    return value


def _check_word(item: dataclasses.Field[Any], word: Any, refusal: Refusal) -> None:
    """Hold a word against the field's choices."""
    choices = item.metadata["choices"]
    if not isinstance(word, str) or not is_text(word):
        raise refusal(f"{item.name} holds {word!r}, which is no text")
    if choices is not None and word not in choices:
        near = nearest(word, choices)
        raise refusal(f"{item.name} is {word!r}{near}; choose from {', '.join(filter(None, choices))}")


def saved_file(path: str | Path) -> Path:
    """Where the options of a checkpoint (or of a folder of them) are."""
    path = Path(path)
    return (path if path.is_dir() else path.parent) / "args.json"


def read_saved(
    path: str | Path,
    groups: Sequence[type],
    wanted: Set[str],
    known: Sequence[type],
    translate: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> dict[str, Any]:
    """The fields `wanted` of `groups` in the `args.json` beside the checkpoint `path` (or in that folder).

    Absent fields that the published programs lack get what those always do. Names that neither `groups` nor `known`
    have are listed once on stderr and left alone. Raises MissingFileError if there is no checkpoint or no `args.json`,
    DataError if it holds anything else than options.
    """
    file = saved_file(path)
    if not Path(path).exists():
        raise MissingFileError(f"checkpoint {path} does not exist")
    if not file.is_file():
        raise MissingFileError(f"{file} is missing; it belongs beside the checkpoint")
    saved = read_json(file)
    if not isinstance(saved, dict):
        raise DataError(f"{file} holds no options")
    fields = [item for group in (*groups, *known) for item in dataclasses.fields(group)]
    names = {name for item in fields for name in (item.name, *item.metadata["aliases"])}
    if known and (foreign := sorted(set(saved) - names)):
        print(f"note: {file} names options that are not ours: {', '.join(foreign)}", file=sys.stderr)
    values, saved = {}, translate(saved)
    for item, annotation in _annotated(groups):
        if item.name in wanted and item.name in saved:
            values[item.name] = _checked(
                item, annotation, saved[item.name], lambda fault: DataError(f"{file}: {fault}")
            )
        elif item.name in wanted and item.metadata["saved_default"] is not None:
            values[item.name] = item.metadata["saved_default"]
    return values


def _annotated(groups: Sequence[type]) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
    """The fields of the groups, each with its type."""
    for group in groups:
        hints = get_type_hints(group)
        for item in dataclasses.fields(group):
            yield item, hints[item.name]


def _read_config(source: str, groups: Sequence[type]) -> dict[str, Any]:
    """The flags in a `--config` file, by field. Raises UsageError, MissingFileError or DataError."""
    content = read_json(source)
    if not isinstance(content, dict):
        raise DataError(f"{source} must hold flags by name, not a {type(content).__name__}")
    fields = {name: row for row in _annotated(groups) for name in (row[0].name, *row[0].metadata["aliases"])}
    values = {}
    for name, value in content.items():
        if name not in fields:
            raise UsageError(f"{source}: unknown option {name}{nearest(name, sorted(fields))}")
        item, annotation = fields[name]
        values[item.name] = _checked(item, annotation, value, lambda fault: UsageError(f"{source}: {fault}"))
    return values


@dataclass(frozen=True)
class Alike:
    """What a command takes from beside the weights that the path `flag` names: all of `groups`, and single `names`."""

    flag: str
    groups: Sequence[type]
    names: Sequence[str] = ()

    def read(
        self,
        given: Mapping[str, Any],
        groups: Sequence[type],
        known: Sequence[type],
        translate: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> dict[str, Any]:
        """The fields that an `args.json` there says, if there is one.

        Those that are not `given` and differ from the field's default are listed once on stderr.
        """
        path = Path(found(str(given.get(self.flag) or "")))
        if not given.get(self.flag) or not path.exists() or not saved_file(path).is_file():
            return {}
        wanted = {item.name for group in self.groups for item in dataclasses.fields(group)} | set(self.names)
        values = read_saved(path, groups, wanted, known, translate)
        usual = {item.name: item.default for group in groups for item in dataclasses.fields(group)}
        taken = [f"--{name} {value}" for name, value in values.items() if name not in given and value != usual[name]]
        if known and taken:
            print(f"note: as in {saved_file(path)}: {' '.join(taken)}", file=sys.stderr)
        return values


def parse(
    command: str,
    purpose: str,
    groups: Sequence[type],
    argv: Sequence[str],
    *,
    defaults_of: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _: {},
    saved_from: Sequence[str] = (),
    saved_groups: Sequence[type] = (),
    saved_names: Sequence[str] = (),
    never_saved: Sequence[str] = (),
    known: Sequence[type] = (),
    alike: "Alike | None" = None,
    translate: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    presets: Mapping[str, Any] | None = None,
    first_word: str = "",
    advanced: Collection[str | type] = (),
) -> list[Any]:
    """One instance of each of `groups`, filled in the order that this module's docstring gives.

    `saved_from` names the flags whose checkpoint's `args.json` counts (the first that has a value); from it come all
    fields of `saved_groups` but `never_saved`, and the single fields `saved_names`; `known` are the groups whose
    names may appear there unremarked, and `translate` puts older names right. Where none of `saved_from` has a value,
    the `args.json` that `alike` means says what it names there. `defaults_of` gives the defaults that depend on other
    values (the dataset's), `presets` those of this command where they are not the fields'. A line that begins with a
    word in place of a flag says the field `first_word`, where there is one. `advanced` are the fields and groups that
    `-h` of this command leaves to `--help_all`, beside those that are so everywhere.
    Raises UsageError for unknown flags, values and names in `--config`; SystemExit after help, which prints the
    defaults that would hold beside the rest of the line.
    """
    if first_word and argv and not argv[0].startswith("-"):
        argv = [f"--{first_word}", *argv]
    fields = {item.name: item for group in groups for item in dataclasses.fields(group)}
    defaults = {name: item.default for name, item in fields.items()} | dict(presets or {})
    whole = {item.name for group in saved_groups for item in dataclasses.fields(group)} - set(never_saved)

    def values_of(line: Sequence[str], known: Sequence[type]) -> dict[str, Any]:
        given = _given(command, purpose, groups, line, presets)
        paths = (given.get(flag, defaults[flag]) for flag in saved_from)
        path = next(filter(None, paths), None)
        saved = read_saved(found(str(path)), groups, whole | set(saved_names), known, translate) if path else {}
        begun = alike.read(given, groups, known, translate) if alike and not path else {}
        values = saved | begun | given
        dependent = {name: value for name, value in defaults_of(defaults | values).items() if name in fields}
        return defaults | dependent | dict(presets or {}) | values

    if asked := {*HELP, HELP_ALL} & set(argv):
        rest = [word for word in argv if word not in asked]
        try:
            holding = values_of(rest, known=())
        except (PolykineError, OSError):  # a line that is not finished, or a checkpoint that is not there
            holding = defaults
        hidden = set() if HELP_ALL in asked else _advanced(groups, advanced)
        build_parser(command, purpose, groups, holding, hidden).print_help()
        raise SystemExit(0)
    values = values_of(argv, known)
    for name, item in fields.items():
        if values[name] and item.metadata["shipped"]:
            values[name] = found(values[name])
    return [group(**{item.name: values[item.name] for item in dataclasses.fields(group)}) for group in groups]


Line = TypeVar("Line", bound="DataclassInstance")


def parse_line(line: type[Line], command: str, purpose: str, argv: Sequence[str], **sources: Any) -> Line:
    """A whole command line as one object: `line` is a dataclass each of whose fields is a group. See `parse`."""
    hints = get_type_hints(line)
    groups = [hints[item.name] for item in dataclasses.fields(line)]
    return line(*parse(command, purpose, groups, argv, **sources))


def _given(
    command: str, purpose: str, groups: Sequence[type], argv: Sequence[str], presets: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What the line says, and below it the file that it names with `--config`. Raises UsageError."""
    parser = build_parser(command, purpose, groups, presets)
    fields = {item.name: item for group in groups for item in dataclasses.fields(group)}
    namespace, unknown = parser.parse_known_args(list(argv))
    if unknown:
        flags = [flag.lstrip("-") for action in parser._actions for flag in action.option_strings]
        raise UsageError(
            f"unknown argument {unknown[0]}{nearest(unknown[0].lstrip('-'), flags)} (see {parser.prog} -h)"
        )
    given: dict[str, Any] = {name: value for name, value in vars(namespace).items() if name in fields}
    for name, value in given.items():
        if fields[name].metadata["many"]:
            given[name] = tuple(value)
            for word in value:
                _check_word(fields[name], word, lambda fault: UsageError(f"--{fault}"))
    return _read_config(given["config"], groups) | given if given.get("config") else given


def _advanced(groups: Sequence[type], more: Collection[str | type]) -> set[str]:
    """The names of the fields that `-h` leaves out: those that are advanced anywhere, and `more` of this command."""
    return {
        item.name
        for group in groups
        for item in dataclasses.fields(group)
        if item.metadata["advanced"] or group in more or item.name in more
    }
