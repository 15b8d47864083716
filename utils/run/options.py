"""Options: frozen dataclasses, one a concern; each field is a flag, its default, its help and its choices.

Order, lowest to highest: field default < defaults of the dataset < `args.json` of the checkpoint (only the groups
that describe it) < `--config file.json` < command line. Entry modules parse before they import torch.
"""

import argparse
import dataclasses
import difflib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_type_hints

from utils.run.errors import DataError, MissingFileError, PolykineError, UsageError
from utils.run.files import read_json


def option(
    default: Any,
    help: str,
    choices: Sequence[Any] | None = None,
    aliases: Sequence[str] = (),
    many: bool = False,
    least: float = -math.inf,
    most: float = math.inf,
    saved_default: Any = None,
) -> Any:
    """A dataclass field that is also a flag.

    `many` takes several values after the flag; `least` and `most` bound a number. `saved_default` is the value of a
    checkpoint whose `args.json` does not name the field: what the published programs, which lack the flag, always do.
    """
    meta = {"help": help, "choices": choices, "aliases": tuple(aliases), "many": many, "bounds": (least, most)}
    return field(default=default, metadata=meta | {"saved_default": saved_default})


@dataclass(frozen=True)
class RunOptions:
    """What every command takes."""

    device: str = option("0", "cpu, cuda, mps or a GPU index; the CPU is used where there is no GPU")
    cuda: bool = option(True, "False: the CPU, as --device cpu")
    seed: int = option(0, "sample i depends on (seed, i) only; training on (seed, step)", least=0, most=2**32 - 1)
    compat: str = option("none", "published: the published programs' draws, order and solvers", ("none", "published"))
    precision: str = option("fp32", "arithmetic of the network", ("fp32", "bf16"))
    threads: int = option(0, "CPU threads; 0 leaves torch's choice", least=0)
    config: str = option("", "a JSON file of flags; the command line wins over it")
    external_mode: bool = option(False, "published, and without effect there too")


def _parse_bool(text: str) -> bool:
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")


def _scalar_type(annotation: Any) -> Any:
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    return kinds[0] if kinds else annotation


def _number(kind: type, bounds: tuple[float, float]) -> Callable[[str], Any]:
    """What turns a flag's text into a number of this kind."""

    def read(text: str) -> Any:
        value = kind(text)
        if fault := _fault(value, bounds):
            raise argparse.ArgumentTypeError(f"{text} is {fault}")
        return value

    read.__name__ = kind.__name__  # argparse names it where the text is no number
    return read


def _fault(value: float, bounds: tuple[float, float]) -> str:
    """What is wrong with a number, or nothing."""
    least, most = bounds
    if not math.isfinite(value):
        return "not a finite number"
    return f"less than {least}" if value < least else f"more than {most}" if value > most else ""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise UsageError(f"{message} (see {self.prog} -h)")


def build_parser(
    command: str, purpose: str, groups: Sequence[type], presets: Mapping[str, Any] | None = None
) -> argparse.ArgumentParser:
    """An argument parser for the fields of `groups`; absent flags are absent from what it returns.

    `presets` are the defaults of this command where they are not the fields'.
    """
    parser = _Parser(prog=f"python -m {command}", description=purpose, allow_abbrev=False)
    for group in groups:
        section = parser.add_argument_group(group.__name__, (group.__doc__ or "").strip().splitlines()[0])
        hints = get_type_hints(group)
        for item in dataclasses.fields(group):
            kind = _scalar_type(hints[item.name])
            arguments: dict[str, Any] = {"dest": item.name, "default": argparse.SUPPRESS}
            preset = (presets or {}).get(item.name, item.default)
            default = "" if preset in ("", None, ()) else f" (default: {preset})"
            arguments["help"] = f"{item.metadata['help']}{default}".replace("%", "%%")
            if item.metadata["choices"] is not None and not item.metadata["many"]:
                arguments["choices"] = tuple(item.metadata["choices"])
            if kind is bool:
                arguments.update(nargs="?", const=True, type=_parse_bool, metavar="True|False")
            elif item.metadata["many"]:
                words = "|".join(filter(None, item.metadata["choices"] or [])) or item.name.upper()
                arguments.update(nargs="*", type=str, metavar=words)
            else:
                arguments["type"] = kind if kind is str else _number(kind, item.metadata["bounds"])
            flags = (f"-{name}" if len(name) == 1 else f"--{name}" for name in (item.name, *item.metadata["aliases"]))
            section.add_argument(*flags, **arguments)
    parser.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
    )
    return parser


def nearest(name: str, known: Sequence[str]) -> str:
    """`; did you mean x?` for the known name closest to `name`, or nothing."""
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


Refusal = Callable[[str], PolykineError]


def _checked(item: dataclasses.Field[Any], annotation: Any, value: Any, refusal: Refusal) -> Any:
    """A value from a file, held against the field's type and choices; raises `refusal(what is wrong)`."""
    kind = _scalar_type(annotation)
    if item.metadata["many"]:
        value = tuple(value) if isinstance(value, list) else (value,)
        for word in value:
            _check_word(item, word, refusal)
        return value
    if value is None and type(None) in get_args(annotation):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and kind in (float, str):
        value = kind(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise refusal(f"{item.name} is {value!r}, not {kind.__name__}")
    if isinstance(value, int | float) and (fault := _fault(value, item.metadata["bounds"])):
        raise refusal(f"{item.name} is {value}, which is {fault}")
    if item.metadata["choices"] is not None:
        _check_word(item, value, refusal)
    return value


def _check_word(item: dataclasses.Field[Any], word: Any, refusal: Refusal) -> None:
    """Hold a word against the field's choices."""
    choices = item.metadata["choices"]
    if not isinstance(word, str):
        raise refusal(f"{item.name} holds {word!r}, which is no text")
    if choices is not None and word not in choices:
        near = nearest(word, choices)
        raise refusal(f"{item.name} is {word!r}{near}; choose from {', '.join(filter(None, choices))}")


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
    path = Path(path)
    saved_file = (path if path.is_dir() else path.parent) / "args.json"
    if not path.exists():
        raise MissingFileError(f"checkpoint {path} does not exist")
    if not saved_file.is_file():
        raise MissingFileError(f"{saved_file} is missing; it belongs beside the checkpoint")
    saved = read_json(saved_file)
    if not isinstance(saved, dict):
        raise DataError(f"{saved_file} holds no options")
    fields = [item for group in (*groups, *known) for item in dataclasses.fields(group)]
    names = {name for item in fields for name in (item.name, *item.metadata["aliases"])}
    if known and (foreign := sorted(set(saved) - names)):
        print(f"note: {saved_file} names options that are not ours: {', '.join(foreign)}", file=sys.stderr)
    values, saved = {}, translate(saved)
    for item, annotation in _annotated(groups):
        if item.name in wanted and item.name in saved:
            values[item.name] = _checked(
                item, annotation, saved[item.name], lambda fault: DataError(f"{saved_file}: {fault}")
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
    translate: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    presets: Mapping[str, Any] | None = None,
    first_word: str = "",
) -> list[Any]:
    """One instance of each of `groups`, filled in the order that this module's docstring gives.

    `saved_from` names the flags whose checkpoint's `args.json` counts (the first that has a value); from it come all
    fields of `saved_groups` but `never_saved`, and the single fields `saved_names`; `known` are the groups whose
    names may appear there unremarked, and `translate` puts older names right. `defaults_of` gives the defaults that
    depend on other values (the dataset's), `presets` those of this command where they are not the fields'. A line that
    begins with a word in place of a flag says the field `first_word`, where there is one.
    Raises UsageError for unknown flags, values and names in `--config`.
    """
    parser = build_parser(command, purpose, groups, presets)
    fields = {item.name: item for group in groups for item in dataclasses.fields(group)}
    defaults = {name: item.default for name, item in fields.items()} | dict(presets or {})
    if first_word and argv and not argv[0].startswith("-"):
        argv = [f"--{first_word}", *argv]
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
    if source := given.get("config"):
        given = _read_config(source, groups) | given
    saved: dict[str, Any] = {}
    paths = (given.get(flag, defaults[flag]) for flag in saved_from)
    if path := next(filter(None, paths), None):
        whole = {item.name for group in saved_groups for item in dataclasses.fields(group)} - set(never_saved)
        saved = read_saved(path, groups, whole | set(saved_names), known, translate)
    values = saved | given
    values = (
        defaults | {name: value for name, value in defaults_of(defaults | values).items() if name in fields} | values
    )
    return [group(**{item.name: values[item.name] for item in dataclasses.fields(group)}) for group in groups]


def groups_of(command: type) -> tuple[type, ...]:
    """The groups of options that a command takes: the types of its dataclass's fields, in order."""
    hints = get_type_hints(command)
    return tuple(hints[item.name] for item in dataclasses.fields(command))
