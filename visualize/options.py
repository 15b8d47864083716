"""Which files the commands of visualize write, and where."""

from dataclasses import dataclass

from utils.geometry.joint_names import SCHEMES
from utils.run.options import option

FORMATS = {
    "glb": "skinned and animated, for Blender, Unity, browsers",
    "bvh": "joints only",
    "html": "one page with all samples that plays offline",
    "mp4": "a video of the mesh",
    "npz": "SMPL parameters as in AMASS",
    "smplx": "npz for the SMPL-X add-on of Blender, 30 frames a second",
    "params": "the published <name>_smpl_params.npy",
    "obj": "a folder with a mesh a frame",
    "usd": "needs usd-core",
    "hik": "joint angles for Maya, JSON",
    "csv": "joint positions",
    "fbx": "through Blender",
    "abc": "Alembic, through Blender",
}


@dataclass(frozen=True)
class ExportOptions:
    """Which files are written, and where."""

    format: tuple[str, ...] = option(("glb",), "one or several", tuple(FORMATS), many=True, aliases=("formats",))
    output_dir: str = option("", "where they go (default: beside the input)")
    overwrite: bool = option(False, "replace files that exist")
    fps: float = option(
        0.0, "frames a second of the files, as 24, 25, 30 or 60 (default: those of the motion)", min=0, max=1000
    )
    character: str = option(
        "", "your own character, .glb, .gltf, .vrm or .bvh: written as <name>_<character>, in place of the body's glb"
    )
    map: str = option(
        "", "which joint of --character is which: a JSON file; a draft is written if needed", advanced=True
    )
    names: str = option("", "whose names joints have in glb, bvh, fbx, usd and csv", ("", *SCHEMES), advanced=True)
    loop: bool = option(False, "a cycle of each motion, closed, as games play it")
    in_place: bool = option(False, "without the path on the floor, for games that move the character themselves")
    root_bone: bool = option(
        False, "a bone on the floor that carries path and heading: glb, bvh, fbx, for game engines"
    )
