"""Which motions of a file are put on which body, as every command that needs a body is told."""

from dataclasses import dataclass

from utils.formats.options import ReadingOptions
from utils.run.options import option

POSE_PRIOR = "save/pose_ndf"


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
    pose_prior: str = option(
        "limits",
        "what is known of poses. limits: ranges of the joints; ndf: also how far from plausible ones a learned prior "
        "finds them, for joints that are missing or noisy",
        ("limits", "ndf"),
    )
    prior_path: str = option(
        POSE_PRIOR, "the learned prior (Pose-NDF): checkpoint, or a folder: its newest", advanced=True, shipped=True
    )
    root: str = option(
        "",
        "anchored: the path of the feet that stand; centred: in place (default: anchored where motion has no path)",
        ("", "anchored", "centred"),
    )
    foot_lock: bool = option(False, "hold the feet that stand; says how far they slid before and after")
