"""Blender as a program beside this one: where it is, and scripts that run in its Python."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from utils.run.errors import DataError, MissingFileError

VARIABLE = "POLYKINE_BLENDER"
_HELP = (
    f"install Blender, or bpy in an environment of its own (python3.11 -m venv ENV; ENV/bin/pip install bpy==5.0.1), "
    f"and set {VARIABLE} to the program blender or to ENV/bin/python"
)


def command(script: str | Path, *arguments: str | Path) -> list[str]:
    """The command line that runs a script in Blender's Python: POLYKINE_BLENDER, `blender` on PATH, or bpy here.

    Raises MissingFileError, which says how to install it, where there is none.
    """
    stated = os.environ.get(VARIABLE, "")
    program = stated or shutil.which("blender") or (sys.executable if importlib.util.find_spec("bpy") else "")
    if not program or not shutil.which(program):
        where = f"{VARIABLE}={stated} is no program" if stated else "Blender was not found"
        raise MissingFileError(f"{where}: {_HELP}")
    parts = [str(script), *map(str, arguments)]
    if "python" in Path(program).name:
        return [program, *parts]
    return [
        program,
        "--background",
        "--factory-startup",
        "--python-exit-code",
        "1",
        "--python",
        parts[0],
        "--",
    ] + parts[1:]


def run(line: list[str], output: str | Path, failed: str, timeout: float = 600.0) -> None:
    """Run a command line that writes `output`.

    Raises DataError, which begins with `failed` and ends with what Blender said, where it writes nothing in time.
    """
    try:
        ended = subprocess.run(line, capture_output=True, text=True, errors="replace", timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise DataError(f"{failed} within {timeout:.0f} s") from error
    if ended.returncode or not Path(output).is_file():
        said = [text for text in ended.stderr.splitlines() if text.strip()] or ["no reason given"]
        raise DataError(f"{failed}: {said[-1].removeprefix('error: ')}")
