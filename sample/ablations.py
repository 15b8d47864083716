"""A variant of MAS, or its rival, by name.

`python -m sample.ablations --ablation_name no_3d_noise --model_path save/mocap2d`
"""

from dataclasses import replace
from functools import partial

from sample.options import AblationLine, parse_sampling_line
from utils.run.errors import run_command

TASKS = {
    "no_3d_noise": "mas_no_3d_noise",
    "prominent_angle": "mas_prominent_angle",
    "prominent_angle_no_3d_noise": "mas_prominent_angle_no_3d_noise",
}


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_sampling_line(AblationLine, "sample.ablations", __doc__ or "", argv)

    from sample.common.request import make_request
    from sample.common.results import announcement, results_folder, summary, write_results
    from sample.common.samples import sampled_in_parts
    from sample.common.session import open_session
    from sample.multiview.sampling import independent, sample_3d
    from utils.run.progress import ProgressLine

    variant = line.ablation.ablation_name
    folder = results_folder(line, TASKS.get(variant) or variant)
    session = open_session(line)
    request = make_request(session)
    print(announcement(session, request))
    with ProgressLine("sampling", "writing") as callback:
        session = replace(session, callback=callback)
        sample = partial(sample_3d, options=line.mas, variant=variant)
        parts = sampled_in_parts(session, request, sample, independent(line.mas, variant))
        write_results(folder, session, request, parts)
    print(summary(folder, request))


if __name__ == "__main__":
    run_command(main)
