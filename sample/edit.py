"""Keep some of a motion and sample the rest anew: the middle, the upper body, all but keyframes, single joints.

`python -m sample.edit --model_path save/mocap_text --edit_mode upper_body --text_condition "a person waves"`
3D motion of a 2D model (`--model_path save/mocap2d --input_motion FILE`) is edited inside MAS.
"""

from dataclasses import replace
from functools import partial

from sample.options import OF_THE_CHECKPOINT, TEXT_MODEL, EditLine, MasOptions, parse_sampling_line
from utils.run.errors import run_command


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_sampling_line(
        EditLine, "sample.edit", __doc__ or "", argv, TEXT_MODEL,
        advanced=(*OF_THE_CHECKPOINT, MasOptions, "text_prompt", "input_text", "action_name"),
    )  # fmt: skip

    from sample.common.results import announcement, output_folder, summary, write_results
    from sample.common.samples import sampled_in_parts
    from sample.common.session import open_session
    from sample.common.sources import read_sources
    from sample.editing.editing import check, edit_request, edited, folder_of
    from utils.run.progress import ProgressLine

    check(line)
    sampling, seed = line.sampling, line.run.seed
    output_dir = sampling.output_dir or str(folder_of(sampling, seed, line.edit))
    folder = output_folder(replace(sampling, output_dir=output_dir), seed, "edit")
    session = open_session(line)
    sources = read_sources(session, line.edit.input_motion, line.edit)
    request = edit_request(session, line.edit, sources)
    for source in sources:
        print(f"editing {source.title or 'a clip'}" + (f" ({source.note})" if source.note else ""))
    print(announcement(session, request))
    with ProgressLine("sampling", "writing") as callback:
        session, sample = replace(session, callback=callback), partial(edited, mas=line.mas, sources=sources)
        write_results(folder, session, request, sampled_in_parts(session, request, sample))
    print(summary(folder, request))


if __name__ == "__main__":
    run_command(main)
