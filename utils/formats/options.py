"""How a file of motion is read, as every command that reads one is told."""

from dataclasses import dataclass

from utils.run.options import option

SKELETON_TYPES = (
    "nba", "motionbert", "elepose", "gymnastics", "horse", "smpl22", "kit21", "coco17", "blazepose33", "h36m17",
)  # fmt: skip
AXES = ("", "x", "y", "z", "-x", "-y", "-z")


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """What a file of motion does not say of itself, or says wrong."""

    skeleton_type: str = option("", "the joints of a file that names none", ("", *SKELETON_TYPES))
    scale: float = option(
        0.0, "metres per unit of the file (default: what it says, else from the bones, and said)", min=0, advanced=True
    )
    up: str = option(
        "", "axis of the file that points up (default: what it says, else from the rest pose)", AXES, advanced=True
    )
    facing: str = option("", "axis of the file that shall be forward, our +z (default: as it is)", AXES, advanced=True)
    input_fps: float = option(
        0.0, "frames a second of a file that does not say (default: that of its kind)", min=0, max=1e5, advanced=True
    )
    clip: str = option("", "the one to read, by name, of a file with several (default: all)")
    person: str = option("", "whose motion to read of a file with several people, by name or number", advanced=True)
