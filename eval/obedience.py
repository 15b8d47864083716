"""Whether a text model obeys: direction, side, turns and circles, speed, counts, order, posture, gesture, style.

`python -m eval.obedience --model_path save/mocap_text` (needs dataset/mocap: its train part stands beside the motion,
its test part tells how well the captioner sees). 4 motions of 6 s for each of 120 sentences by default. What a motion
shows is found by the captioner from the motion alone.
"""

from dataclasses import dataclass

from data_loaders.registry import dataset_spec
from diffusion.options import DiffusionOptions
from eval.options import OF_ONE_RUN
from model.options import ModelOptions
from sample.options import TEXT_MODEL, SamplingLine, parse_sampling_line
from utils.run.errors import UsageError, run_command
from utils.run.options import option

PRESETS = {"num_samples": 4, "motion_length": 6.0}
ADVANCED = (ModelOptions, DiffusionOptions, *(name for name in OF_ONE_RUN if name not in ("num_samples", "overwrite")))


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
    line = parse_sampling_line(ObedienceLine, "eval.obedience", __doc__ or "", argv, TEXT_MODEL, PRESETS, ADVANCED)
    run, sampling, data, requested = line.run, line.sampling, line.data, line.prompts
    spec = dataset_spec(data.dataset)
    if data.cond != "text" or spec.skeleton.name != "smpl22":
        raise UsageError(
            f"eval.obedience is for text models of 22 joints (mocap, humanml); {sampling.model_path} is of {spec.name} "
            f"with --cond {data.cond}"
        )
    if sampling.text_prompt or sampling.input_text:
        raise UsageError("eval.obedience takes its sentences from --prompts: leave --text_prompt and --input_text out")

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
