"""Which motions of a file are put on which body, as every command that needs a body is told."""

from dataclasses import dataclass

from utils.formats.options import ReadingOptions
from utils.run.options import option


@dataclass(frozen=True)
class BodyOptions(ReadingOptions):
    """Which motions of a file, and the body that they are put on."""

    input_path: str = option(
        "", "results.npy, or a motion file: .npz, .bvh, .glb, .amc, .trc and others (the first word does too)"
    )
    samples: tuple[str, ...] = option((), "numbers of the motions, from 0 (default: all)", many=True)
    body: str = option("", "smpl, free, capsules or an SMPL file (default: smpl if it is there, else free)")
    fit: str = option("gauss_newton", "smplify: the published objective and optimiser", ("gauss_newton", "smplify"))
    num_smplify_iters: int = option(150, "outer iterations of --fit smplify", min=1)
    root: str = option(
        "",
        "anchored: the path of the feet that stand; centred: in place (default: anchored where motion has no path)",
        ("", "anchored", "centred"),
    )
    foot_lock: bool = option(False, "hold the feet that stand; says how far they slid before and after")
