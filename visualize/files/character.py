"""A user's character as one more format: its own file, with a motion as one more clip."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from body.retarget import character as characters
from body.retarget.names import Undecided
from utils.formats.export_format import Format, Look
from utils.geometry.body import BodyMotion
from utils.run.errors import DataError
from utils.run.names import file_name, inside
from visualize.options import ExportOptions

_LISTED = 12  # names of joints that are listed


def character_format(options: ExportOptions, folder: Path, say: Callable[[str], None]) -> Format:
    """The format of files of `--character`, called `<motion>_<character>`; `say` is told what keeps its rest pose.

    Where it is not known which joint is which, a map is written into `folder` as a draft, unless one is there.
    Raises what reading raises, and DataError.
    """
    path = Path(options.character)
    try:
        character = characters.open_character(path, options.map)
    except Undecided as undecided:
        draft = inside(folder, f"{file_name(path.stem)}_map.json")
        if not options.map and not draft.exists():
            folder.mkdir(parents=True, exist_ok=True)
            characters.write_map(draft, undecided.rig, undecided.found)
        where = options.map or draft
        raise DataError(f"{undecided}; fill in the map there, then run it with", f"--map {where}") from undecided
    if alone := characters.left_alone(character):
        more = f" and {len(alone) - _LISTED} more" if len(alone) > _LISTED else ""
        say(f"{path.name}: joints that keep their rest pose: {', '.join(alone[:_LISTED])}{more}")
    done: dict[int, tuple[np.ndarray, float]] = {}  # of a motion: where its joints are, and the rig's size

    def write(file: Path, motions: Sequence[BodyMotion]) -> None:
        (motion,) = motions
        posed, figure = characters.moved(motion, character, options.in_place)
        character.file.write(file, posed, motion.fps, motion.name or "motion")
        done[id(motion)] = posed.places, figure.size

    def look(places: np.ndarray, motion: BodyMotion, number: int) -> Look:
        wanted, size = done[id(motion)]
        return len(places), places / size, wanted / size

    return Format(f"_{file_name(path.stem)}{character.file.ending}", write, character.file.read, look, keeps_path=True)
