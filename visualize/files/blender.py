"""Files that only Blender writes: FBX, Alembic, .blend."""

from collections.abc import Sequence
from pathlib import Path

from utils.formats import glb
from utils.formats.export_format import Format, Look
from utils.geometry.body import BodyMotion
from utils.run.blender import command, run
from utils.run.project import ROOT

_SCRIPT = ROOT / "visualize" / "blender_import.py"


def convert(motion: str | Path, output: str | Path, *flags: str, timeout: float = 600.0) -> None:
    """Have Blender import a GLB, BVH or USD file and write `output` (.fbx, .abc, .blend, or one frame as .png).

    `flags` are those of visualize/blender_import.py.

    Raises MissingFileError without Blender, DataError with what Blender said where it fails.
    """
    line = command(_SCRIPT, Path(motion).resolve(), "--output", Path(output).resolve(), *flags)
    run(line, output, f"Blender did not write {output}", timeout)


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
