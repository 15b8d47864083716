"""What the commands of visualize are told: which motions, on which body, in which files."""

from dataclasses import dataclass

from utils.run.options import option

SKELETON_TYPES = (
    "nba", "motionbert", "elepose", "gymnastics", "horse", "smpl22", "kit21", "coco17", "blazepose33", "h36m17",
)  # fmt: skip
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
class BodyOptions:
    """Which motions of a file, and the body that they are put on."""

    input_path: str = option("", "results.npy, or a motion file: .npy, .npz, .bvh, .amc (the first word does too)")
    samples: tuple[str, ...] = option((), "numbers of the motions, from 0 (default: all)", many=True)
    skeleton_type: str = option("", "the joints of a file that names none", ("", *SKELETON_TYPES))
    body: str = option("", "smpl, free, capsules or an SMPL file (default: smpl if it is there, else free)")
    fit: str = option("gauss_newton", "smplify: the published objective and optimiser", ("gauss_newton", "smplify"))
    num_smplify_iters: int = option(150, "outer iterations of --fit smplify", least=1)
    root: str = option(
        "",
        "anchored: the path of the feet that stand; centred: in place (default: anchored where motion has no path)",
        ("", "anchored", "centred"),
    )
    foot_lock: bool = option(False, "hold the feet that stand; says how far they slid before and after")


@dataclass(frozen=True)
class ExportOptions:
    """Which files are written, and where."""

    format: tuple[str, ...] = option(("glb",), "one or several", tuple(FORMATS), many=True, aliases=("formats",))
    output_dir: str = option("", "where they go (default: beside the input)")
    overwrite: bool = option(False, "replace files that exist")
