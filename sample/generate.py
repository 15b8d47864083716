"""Entry: 2D motion from a diffusion model.

`python -m sample.generate --model_path save/mocap2d --num_samples 10`
"""

from sample.options import parse_sampling
from utils.run.errors import run_command


def main(argv: list[str]) -> None:
    """Run the command."""
    options = parse_sampling("sample.generate", __doc__ or "", (), argv)

    from sample.plain import sample_2d
    from sample.results import run_sampling

    run_sampling(options, "sample", sample_2d)


if __name__ == "__main__":
    run_command(main)
