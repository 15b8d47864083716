"""Entry: a variant of MAS, or its rival, by name.

`python -m sample.ablations --ablation_name no_3d_noise --model_path save/mocap2d`
"""

from sample.options import AblationOptions, MasOptions, parse_sampling
from utils.run.errors import run_command

TASKS = {
    "no_3d_noise": "mas_no_3d_noise",
    "prominent_angle": "mas_prominent_angle",
    "prominent_angle_no_3d_noise": "mas_prominent_angle_no_3d_noise",
}


def main(argv: list[str]) -> None:
    """Run the command."""
    options = parse_sampling("sample.ablations", __doc__ or "", (MasOptions, AblationOptions), argv)

    from sample.common.results import run_sampling
    from sample.multiview.sampling import sample_3d

    name = options[6].ablation_name
    run_sampling(
        options, TASKS.get(name) or name, lambda session, request: sample_3d(session, request, options[5], name)
    )


if __name__ == "__main__":
    run_command(main)
