"""The parser of a command line: flags from the fields of dataclasses, numbers within bounds, help of two lengths.

`-h` shows the flags that people use, `--help_all` every one.
"""

import argparse
import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, get_args, get_type_hints

from utils.run.errors import UsageError

HELP, HELP_ALL = ("-h", "--help"), "--help_all"
_KINDS = (str, int, float, bool)
_DEFAULT_IN_WORDS = re.compile(r" \(default: [^()]*\)$")


def parse_bool(text: str) -> bool:
    """A boolean as users write it. Raises ArgumentTypeError."""
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")


def scalar_type(annotation: Any) -> Any:
    """The type of a field's value: of `float | None` it is float, of `tuple[str, ...]` str."""
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    return kinds[0] if kinds else annotation


def out_of_bounds(value: float, bounds: tuple[float, float]) -> str:
    """What is wrong with a number, or nothing."""
    low, high = bounds
    if not math.isfinite(value):
        return "not a finite number"
    return f"less than {low}" if value < low else f"more than {high}" if value > high else ""


def _number(kind: type, bounds: tuple[float, float]) -> Callable[[str], Any]:
    """What turns a flag's text into a number of this kind."""

    def read(text: str) -> Any:
        value = kind(text)
        if fault := out_of_bounds(value, bounds):
            raise argparse.ArgumentTypeError(f"{text} is {fault}")
        return value

    read.__name__ = kind.__name__  # argparse names it where the text is no number
    return read


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise UsageError(f"{message} (see {self.prog} -h)")


def build_parser(
    command: str,
    purpose: str,
    groups: Sequence[type],
    defaults: Mapping[str, Any] | None = None,
    hidden: Collection[str] = (),
) -> argparse.ArgumentParser:
    """An argument parser for the fields of `groups`; absent flags are absent from what it returns.

    `defaults` are shown where they are not the fields'; the fields `hidden` are read and not shown.
    """
    parser = _Parser(
        prog=f"python -m {command}", usage="%(prog)s [flags]", description=purpose.strip(), allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(HELP_ALL, action="store_true", default=argparse.SUPPRESS, help="show every flag and exit")
    for group in groups:
        section = parser.add_argument_group((group.__doc__ or "").strip().splitlines()[0].rstrip("."))
        hints = get_type_hints(group)
        for item in dataclasses.fields(group):
            default = (defaults or {}).get(item.name, item.default)
            arguments = _arguments(item, scalar_type(hints[item.name]), default)
            if item.name in hidden:
                arguments["help"] = argparse.SUPPRESS
            section.add_argument(*flags_of(item), **arguments)
    parser.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
    )
    return parser


def flags_of(item: dataclasses.Field[Any]) -> list[str]:
    """The flag of a field and its other spellings."""
    return [f"-{name}" if len(name) == 1 else f"--{name}" for name in (item.name, *item.metadata["aliases"])]


def _arguments(item: dataclasses.Field[Any], kind: Any, default: Any) -> dict[str, Any]:
    """What argparse is told about the flag of a field. Raises TypeError for a type that no word is read as."""
    meta = item.metadata
    if kind not in _KINDS:
        known = ", ".join(each.__name__ for each in _KINDS)
        raise TypeError(f"the field {item.name} is {kind}; flags are of {known}")
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
    text = meta["help"]
    if shown not in ("", None):
        text = f"{_DEFAULT_IN_WORDS.sub('', text)} (default: {shown})"
    arguments: dict[str, Any] = {"dest": item.name, "default": argparse.SUPPRESS, "help": text.replace("%", "%%")}
    if meta["many"]:
        words = "|".join(filter(None, meta["choices"] or [])) or item.name.upper()
        return arguments | {"nargs": "*", "type": str, "metavar": words}
    if meta["choices"] is not None:
        arguments["choices"] = tuple(meta["choices"])
    if kind is bool:
        return arguments | {"nargs": "?", "const": True, "type": parse_bool, "metavar": "True|False"}
    return arguments | {"type": kind if kind is str else _number(kind, meta["bounds"])}


def nearest(name: str, known: Sequence[str]) -> str:
    """`; did you mean x?` for the known name closest to `name`, or nothing."""
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""
