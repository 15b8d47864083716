"""Whether a text model obeys: direction, side, turns and circles, speed, counts, order, posture, gesture, style.

`python -m eval.obedience --model_path save/mocap_text` (needs dataset/mocap: its train part stands beside the motion,
its test part tells how well the captioner sees). 4 motions of 6 s for each of 120 sentences by default. What a motion
shows is found by the captioner from the motion alone.
"""

from dataclasses import dataclass

from eval.options import RARELY_OF_SENTENCES, check_reads_sentences
from sample.options import TEXT_MODEL, SamplingLine, parse_sampling_line
from utils.run.errors import run_command
from utils.run.options import option

PRESETS = {"num_samples": 4, "motion_length": 6.0}


@dataclass(frozen=True)
class ObedienceOptions:
    """What is asked for, and what stands beside it."""

    prompts: str = option(
        "assets/prompts/obedience.txt", "file of sentences, `group | expectation | sentence` a line", shipped=True
    )
    real: str = option("./dataset/mocap", "folder of labelled real motion that prepare.humanml made", shipped=True)


@dataclass(frozen=True)
class ObedienceLine(SamplingLine):
    """The command line."""

    prompts: ObedienceOptions


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_sampling_line(
        ObedienceLine, "eval.obedience", __doc__ or "", argv, TEXT_MODEL, PRESETS, RARELY_OF_SENTENCES
    )
    run, sampling, requested = line.run, line.sampling, line.prompts
    check_reads_sentences(line, "eval.obedience")

    from data_loaders.representations import hml
    from eval.common.work import steps_shown
    from eval.recognition import obedience
    from eval.recognition.classifier import draw_windows, load_real, train
    from sample.common.results import output_folder
    from sample.common.session import open_session

    asked = obedience.read_sentences(requested.prompts)
    folder = output_folder(sampling, run.seed, "obedience", sure=("obedience.md",))
    learnt, held_out = (load_real(requested.real, part) for part in ("train", "test"))
    session = open_session(line, steps_shown())
    print(f"sampling {sampling.num_samples} motions of each of {len(asked)} sentences ({session.path})")
    motions, plain = obedience.make_motions(session, asked)
    recogniser = None
    if any(each.expectation.looks for each in asked):
        print("teaching the classifier")
        spec = learnt.motions.spec
        recogniser = train(draw_windows(learnt, run.seed), run.seed, spec.fps, hml.layout_of(spec.skeleton))
    rows = obedience.judge(asked, motions, plain, learnt, recogniser)
    tried = obedience.tried_on_real(requested.real, held_out)
    print(obedience.write(folder, session, motions, rows, tried))
    print("\n".join(["", "not obeyed:", *obedience.misses(rows)]))
    print(f"obedience.md, obedience.json and a picture of each group are in {folder}")


if __name__ == "__main__":
    run_command(main)
