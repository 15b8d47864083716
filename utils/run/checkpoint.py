"""The only reader and writer of weights and training state.

A checkpoint is one file in the published name and layout, `checkpoint_<step>.pth` with `model`, `optimizer`, `step`
(and `model_avg`, `run` of our own); `manifest.json` beside it is written last and holds each file's size and SHA-256,
and whether it is a passing save, which goes when newer ones are there.
Every save is whole or absent, and opening one never runs code (`weights_only`).
Read are also the published files of MDM, `model<step>.pt`: bare weights, or `model` and `model_avg`.
"""

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from utils.run.arrays import check_sizes
from utils.run.errors import DataError, MissingFileError, NumericError
from utils.run.files import atomic_write, digest, read_json, write_json

MANIFEST = "manifest.json"
_NAME = re.compile(r"(?:checkpoint_|model)(\d+)\.(?:pth|pt)$")


def step_of(path: str | Path) -> int:
    """The step in a checkpoint's name. Raises DataError for a name without one."""
    match = _NAME.search(str(path))
    if not match:
        raise DataError(f"{path} is not named like a checkpoint (checkpoint_<step>.pth)")
    return int(match[1])


def resumed_step(path: Path) -> int:
    """The step that a run resumes at: that of the file's name, else the one in it. Raises DataError."""
    if _NAME.search(path.name):
        return step_of(path)
    step = load(path).get("step")
    if type(step) is not int:
        raise DataError(f"{path} says no step: it can be sampled from, but not resumed")
    return step


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of checkpoints, empty where there is none. Raises DataError."""
    path = folder / MANIFEST
    content = read_json(path) if path.is_file() else {}
    if not isinstance(content, dict) or not all(map(_is_entry, content.values())):
        raise DataError(f"{path} is no manifest of checkpoints; without it they are read as they are: remove it")
    return content


def _is_entry(entry: Any) -> bool:
    """Whether an entry of a manifest says what a file's bytes are."""
    told = (entry.get("sha256"), entry.get("bytes")) if isinstance(entry, dict) else ()
    return tuple(map(type, told)) == (str, int)


def save(folder: str | Path, step: int, content: dict[str, Any], passing: bool = False) -> Path:
    """Write `checkpoint_<step>.pth`, read its digest into the manifest, and return its path.

    A `passing` save is one that `prune` may remove.
    Raises NumericError if a weight is not finite, OSError if it cannot be written; older saves stay as they are.
    """
    folder = Path(folder)
    for name, value in content["model"].items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise NumericError(f"the weights {name} hold NaN or infinity at step {step}: nothing was saved")
    path = folder / f"checkpoint_{step}.pth"
    with atomic_write(path) as handle:
        try:
            torch.save(content, handle)
        except RuntimeError as error:
            # Torch's own complaint hides what the disk said.
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None
    manifest = {name: entry for name, entry in read_manifest(folder).items() if (folder / name).is_file()}
    manifest[path.name] = {"sha256": digest(path), "bytes": path.stat().st_size}
    if passing:
        manifest[path.name]["passing"] = True
    write_json(folder / MANIFEST, manifest)
    return path


def verify(path: Path) -> bool:
    """Whether the manifest knows this file and its bytes are those that were saved."""
    entry = read_manifest(path.parent).get(path.name)
    return entry is not None and path.stat().st_size == entry["bytes"] and digest(path) == entry["sha256"]


def load(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU. A foreign file without a manifest entry is read as it is.

    A published file of MDM, which holds weights alone, gets the step of its name.
    Raises MissingFileError, or DataError for a damaged, foreign or hostile file.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"checkpoint {path} does not exist")
    if path.name in read_manifest(path.parent) and not verify(path):
        raise DataError(f"{path} is damaged: its bytes are not those that {MANIFEST} records; fetch or train it again")
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                check_sizes(archive.infolist(), path.stat().st_size)
        with warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch's readers end in a dozen ways on bytes that are no checkpoint
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise DataError(f"{path} is not a checkpoint that can be opened safely: {reason}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__}, not a checkpoint")
    if "step" not in content and _NAME.match(path.name) and path.suffix == ".pt":
        return (content if "model" in content else {"model": content}) | {"step": step_of(path)}
    return content


def weights(content: dict[str, Any]) -> dict[str, Tensor]:
    """The weights to sample with, in float32: the averaged ones where there are any, else the plain ones.

    Raises DataError if there are none.
    """
    state = content.get("model_avg", content.get("model", content))
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError("the checkpoint holds no weights under `model`")
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


def newest(folder: str | Path) -> Path | None:
    """The newest checkpoint of a folder that verifies, or None."""
    found = [path for path in Path(folder).glob("checkpoint_*.pth") if _NAME.search(path.name)]
    return next((path for path in sorted(found, key=step_of, reverse=True) if verify(path)), None)


def resolve(path: str | Path) -> Path:
    """The checkpoint that a path means: a file is itself; of a folder the newest that verifies.

    A folder without a manifest (a published one) gives the highest step. Raises MissingFileError.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    found = sorted((file for file in path.iterdir() if _NAME.match(file.name)), key=step_of)
    chosen = newest(path) if (path / MANIFEST).is_file() else next(reversed(found), None)
    if chosen is None:
        raise MissingFileError(f"{path} holds no usable checkpoint (checkpoint_<step>.pth)")
    return chosen


def prune(folder: str | Path, keep: int) -> None:
    """Remove passing saves that are not among the newest `keep`. All others, and files of others, stay."""
    manifest = read_manifest(Path(folder))
    saves = [path for path in Path(folder).glob("checkpoint_*.pth") if path.name in manifest]
    for path in sorted(saves, key=step_of)[:-keep]:
        if manifest[path.name].get("passing"):
            path.unlink(missing_ok=True)
