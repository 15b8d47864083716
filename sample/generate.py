"""Entry: motion straight from a diffusion model: 2D from one of 2D motion; 3D from text, from actions, from nothing.

`python -m sample.generate --model_path save/mocap_text --text_prompt "a person walks in a circle and waves"`
"""

from sample.options import parse_sampling
from utils.run.errors import run_command


def main(argv: list[str]) -> None:
    """Run the command."""
    options = parse_sampling("sample.generate", __doc__ or "", (), argv)

    from sample.plain import sample_plain
    from sample.results import run_sampling

    run_sampling(options, "sample", sample_plain)


if __name__ == "__main__":
    run_command(main)
