"""Entry: 3D motion by distilling a 2D diffusion model, the baseline of MAS (DreamFusion).

`python -m sample.dreamfusion --model_path save/mocap2d --num_samples 3`
"""

from sample.options import MasOptions, parse_sampling
from utils.run.errors import run_command


def main(argv: list[str]) -> None:
    """Run the command."""
    options = parse_sampling("sample.dreamfusion", __doc__ or "", (MasOptions,), argv)

    from sample.common.results import run_sampling
    from sample.multiview.sampling import sample_3d

    run_sampling(
        options, "dreamfusion", lambda session, request: sample_3d(session, request, options[5], "dreamfusion")
    )


if __name__ == "__main__":
    run_command(main)
