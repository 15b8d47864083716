"""Where the project's own files lie (shipped weights, assets, stylesheets), whatever the working directory is."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def found(path: str | Path) -> str:
    """A path as the user says it; where that leads to nothing from where they are, the project's own file of the name,
    if there is one (`save/mocap_text`)."""
    said = Path(path)
    elsewhere = said.is_absolute() or ".." in said.parts or os.path.lexists(said)
    return str(path) if elsewhere or not said.parts or not (ROOT / said).exists() else str(ROOT / said)
