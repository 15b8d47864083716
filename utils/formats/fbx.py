"""FBX, read by Blender: it turns the file into a GLB, which is read as any other."""

import tempfile
from dataclasses import replace
from pathlib import Path

from utils.formats import gltf
from utils.geometry.motion import Motion
from utils.run.blender import command, run
from utils.run.errors import DataError, MissingFileError
from utils.run.project import ROOT

_SCRIPT = ROOT / "utils" / "formats" / "fbx_in_blender.py"
_NAMES = (b"Kaydara FBX Binary", b"; FBX ")


def read(path: str | Path, clip: str = "", person: int | str = "", timeout: float = 600.0) -> list[Motion]:
    """The motions of an FBX file, one for each take and each figure that it moves; arguments as of `gltf.read`.

    Blender samples the takes at the frame rate of the file. Raises MissingFileError, also where there is no Blender,
    DataError for what Blender cannot read or what does not move, UsageError for an unknown clip or person.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist") from error
    if start.startswith(_NAMES[1]):
        raise DataError(f"{path} is FBX as text, which Blender does not read: save it as binary FBX")
    if not start.startswith(_NAMES[0]):
        raise DataError(f"{path} does not begin as an FBX file does")
    with tempfile.TemporaryDirectory() as folder:
        between = Path(folder, f"{path.stem}.glb")
        run(command(_SCRIPT, path.resolve(), between), between, f"Blender could not read {path}", timeout)
        found = gltf.read(between, clip, person)
    return [replace(motion, source=str(path)) for motion in found]
