"""Whether the right action comes out of sentences that a text model was not trained on, and how well it moves.

`python -m eval.prompts --model_path save/mocap_text --num_samples 5` (needs dataset/mocap: its train part teaches a
small classifier, its test part measures it). 5 motions of 4 s for each prompt by default.
"""

from dataclasses import dataclass

from eval.options import RARELY_OF_SENTENCES, check_reads_sentences
from sample.options import TEXT_MODEL, SamplingLine, parse_sampling_line
from utils.run.errors import UsageError, run_command
from utils.run.options import option

PRESETS = {"num_samples": 5, "motion_length": 4.0}


@dataclass(frozen=True)
class PromptsOptions:
    """What is requested, and what it is compared with."""

    prompts: str = option("assets/prompts/paraphrases.txt", "file of prompts, `kind: sentence` a line", shipped=True)
    real: str = option("./dataset/mocap", "folder of labelled real motion that prepare.humanml made", shipped=True)
    folds: int = option(3, "measure the classifier on takes left out too, in so many parts (0: do not)", min=0)


@dataclass(frozen=True)
class PromptsLine(SamplingLine):
    """The command line."""

    prompts: PromptsOptions


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_sampling_line(
        PromptsLine, "eval.prompts", __doc__ or "", argv, TEXT_MODEL, PRESETS, RARELY_OF_SENTENCES
    )
    run, sampling, requested = line.run, line.sampling, line.prompts
    check_reads_sentences(line, "eval.prompts")
    if requested.folds == 1:
        raise UsageError("--folds 1 would leave nothing to learn from; choose 0, or 2 or more")

    from eval.common.work import steps_shown
    from eval.recognition import paraphrases
    from eval.recognition.classifier import load_real
    from sample.common.results import output_folder
    from sample.common.session import open_session

    prompts = paraphrases.read_prompts(requested.prompts)
    folder = output_folder(sampling, run.seed, "prompts", sure=("prompts.md",))
    learnt, held_out = (load_real(requested.real, part) for part in ("train", "test"))
    paraphrases.check_kinds(prompts, learnt)
    session = open_session(line, steps_shown())
    print(f"sampling {sampling.num_samples} motions of each of {len(prompts)} prompts ({session.path})")
    motions = paraphrases.make_motions(session, prompts)
    print("teaching the classifier")
    recogniser, measures = paraphrases.train_and_measure(learnt, held_out, run.seed, requested.folds)
    rows = paraphrases.compare(prompts, motions, learnt, recogniser)
    print(paraphrases.write(folder, session, motions, rows, measures))
    print(f"prompts.md, prompts.json and contact_sheet.png are in {folder}")


if __name__ == "__main__":
    run_command(main)
