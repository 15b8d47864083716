"""A variant of MAS, or its rival, by name.

`python -m sample.ablations --ablation_name no_3d_noise --model_path save/mocap2d`
"""

from dataclasses import replace
from functools import partial

from sample.options import AblationCommand, parse_sampling
from utils.run.errors import run_command

TASKS = {
    "no_3d_noise": "mas_no_3d_noise",
    "prominent_angle": "mas_prominent_angle",
    "prominent_angle_no_3d_noise": "mas_prominent_angle_no_3d_noise",
}


def main(argv: list[str]) -> None:
    """Run the command."""
    command = parse_sampling("sample.ablations", __doc__ or "", AblationCommand, argv)

    from sample.common.request import make_request
    from sample.common.results import announcement, results_folder, summary, write_results
    from sample.common.samples import sampled_in_parts
    from sample.common.session import open_session
    from sample.multiview.sampling import independent, sample_3d
    from utils.run.progress import ProgressLine

    variant = command.ablation.ablation_name
    folder = results_folder(command, TASKS.get(variant) or variant)
    session = open_session(command)
    request = make_request(session)
    print(announcement(session, request))
    with ProgressLine("sampling", "writing") as callback:
        session = replace(session, callback=callback)
        sample = partial(sample_3d, options=command.mas, variant=variant)
        parts = sampled_in_parts(session, request, sample, independent(command.mas, variant))
        write_results(folder, session, request, parts)
    print(summary(folder, request))


if __name__ == "__main__":
    run_command(main)
