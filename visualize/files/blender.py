"""Blender as a program beside this one: where it is, and files that only it writes (FBX, Alembic, .blend)."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from utils.formats import glb
from utils.formats.export_format import Format, Look
from utils.geometry.body import BodyMotion
from utils.run.errors import DataError, MissingFileError
from utils.run.project import ROOT

VARIABLE = "POLYKINE_BLENDER"
_SCRIPT = ROOT / "visualize" / "blender_import.py"
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


def convert(motion: str | Path, output: str | Path, *flags: str, timeout: float = 600.0) -> None:
    """Have Blender import a GLB, BVH or USD file and write `output` (.fbx, .abc, .blend, or one frame as .png).

    `flags` are those of visualize/blender_import.py.

    Raises MissingFileError without Blender, DataError with what Blender said where it fails.
    """
    line = command(_SCRIPT, Path(motion).resolve(), "--output", Path(output).resolve(), *flags)
    try:
        ended = subprocess.run(line, capture_output=True, text=True, errors="replace", timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise DataError(f"Blender did not write {output} within {timeout:.0f} s") from error
    if ended.returncode or not Path(output).is_file():
        said = [text for text in ended.stderr.splitlines() if text.strip()] or ["no reason given"]
        raise DataError(f"Blender did not write {output}: {said[-1].removeprefix('error: ')}")


def _write(path: Path, motions: Sequence[BodyMotion]) -> None:
    """Write a GLB beside `path`, and let Blender turn it into the file. Raises MissingFileError or DataError."""
    source = path.with_name(f"{path.name}.glb")
    try:
        glb.write(source, motions)
        convert(source, path)
    finally:
        source.unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size


def _look(size: int, motion: BodyMotion, number: int) -> Look:
    """What Blender writes is not read here: it is there, or it is not."""
    return len(motion.root) if size else 0, motion.root, motion.root


FBX = Format(".fbx", _write, _size, _look, standing=True, by_name=True, need=lambda _: command(""))
ABC = Format(".abc", _write, _size, _look, standing=True, need=lambda _: command(""))
