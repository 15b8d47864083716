"""Exports and results in which every file can be told from that of another run."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.reliability.trainings import command
from utils.run.folders import RECORD

EXPORTED = "--format glb csv obj bvh --body free --threads 1 --overwrite"


def export(origin: Path, name: str, out: Path, how: Callable = command):
    """Export the motion `name` of the origin; `how` runs the command, or makes a function that does."""
    return how("visualize.export", origin / name / "results.npy", "--output_dir", out, EXPORTED)


def sample(origin: Path, seed: int, out: Path, how: Callable = command):
    """Sample two motions by MAS."""
    flags = f"--motion_length 0.3 --num_samples 2 --num_views 2 --overwrite --seed {seed} --threads 1"
    return how("sample.mas", "--model_path", origin / "once", "--output_dir", out, flags)


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder; of its record the names that it lists, of options all but where the folder is."""
    found = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        data = path.read_bytes()
        if path.name == RECORD:
            data = json.dumps(sorted(json.loads(data)["files"])).encode()
        if path.name == "args.json":
            data = json.dumps(json.loads(data) | {"save_dir": ""}).encode()
        found[str(path.relative_to(folder))] = data
    return found


def seen(folder: Path) -> dict[str, bytes]:
    """The same without what begins with a dot: what a user sees."""
    return {name: data for name, data in content(folder).items() if not name.startswith(".")}
