"""3D motion by distilling a 2D diffusion model, the baseline of MAS (DreamFusion).

`python -m sample.dreamfusion --model_path save/mocap2d --num_samples 3`
"""

from dataclasses import replace
from functools import partial

from sample.options import MasLine, parse_sampling_line
from utils.run.errors import run_command


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_sampling_line(MasLine, "sample.dreamfusion", __doc__ or "", argv)

    from sample.common.request import make_request
    from sample.common.results import announcement, results_folder, summary, write_results
    from sample.common.samples import sampled_in_parts
    from sample.common.session import open_session
    from sample.multiview.sampling import independent, sample_3d
    from utils.run.progress import ProgressLine

    folder = results_folder(line, "dreamfusion")
    session = open_session(line)
    request = make_request(session)
    print(announcement(session, request))
    with ProgressLine("sampling", "writing") as callback:
        session, sample = (
            replace(session, callback=callback),
            partial(sample_3d, options=line.mas, variant="dreamfusion"),
        )
        parts = sampled_in_parts(session, request, sample, independent(line.mas, "dreamfusion"))
        write_results(folder, session, request, parts)
    print(summary(folder, request))


if __name__ == "__main__":
    run_command(main)
