"""The program that runs, and what it was called with."""

import shlex
import sys
from pathlib import Path


def command_name() -> str:
    """The command that runs, as in `python -m <command>`; of another program the name of its file."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec.name if spec else Path(sys.argv[0]).name


def command_line() -> str:
    """The line that started this process, the interpreter without its folder."""
    return shlex.join([Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]])
