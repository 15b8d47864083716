"""Videos or joint angles of what a sentence says, by the function that a web endpoint would call.

It is in `sample/predictor.py`.

`python -m sample.predict --prompt "a person walks"`
"""

from dataclasses import dataclass

from sample.options import TEXT_MODEL
from utils.run.errors import run_command
from utils.run.options import RunOptions, option, parse
from visualize.options import FORMATS


@dataclass(frozen=True)
class PredictOptions:
    """What is requested, of which model, and where the answer goes."""

    prompt: str = option("", "what the person does (required)")
    num_repetitions: int = option(3, "how many motions of it", min=1)
    output_format: str = option(
        "animation",
        "animation: an mp4 of each; json_file: joint angles of a body (HumanIK, for Maya); the others: that body in a "
        "file, as visualize.render_mesh writes it",
        ("animation", "json_file", *FORMATS),
    )
    model_path: str = option(TEXT_MODEL, "checkpoint file, or a folder: its newest", aliases=("model",), shipped=True)
    text_encoder_path: str = option("", "folder of CLIP's or DistilBERT's weights (default: transformers' cache)")
    output_dir: str = option("", "the folder to write (default: predict_... beside the checkpoint)")
    candidates: int = option(1, "of so many motions each time take the one that fits the sentence best", min=1)
    hold_feet: bool | None = option(
        None, "hold feet that stand where they stand (default: for our own models, not published ones)"
    )
    overwrite: bool = option(False, "replace what an earlier run wrote there; everything else stays")


def main(argv: list[str]) -> None:
    """Run the command."""
    run, question = parse("sample.predict", __doc__ or "", (RunOptions, PredictOptions), argv)

    from data_loaders.families import FAMILIES
    from sample.common.results import output_folder
    from sample.options import SamplingOptions
    from sample.predictor import Predictor, certain_files, check_question

    check_question(question.prompt, question.num_repetitions, question.output_format)
    named = SamplingOptions(
        model_path=question.model_path, output_dir=question.output_dir, overwrite=question.overwrite,
        text_prompt=(question.prompt,),
    )  # fmt: skip
    sure = certain_files(question.output_format)
    folder = output_folder(named, run.seed, "predict", FAMILIES["hml"].folder, sure)
    after = {"candidates": question.candidates, "hold_feet": question.hold_feet}
    predictor = Predictor(question.model_path, run, question.text_encoder_path, **after)
    files = predictor.predict(
        question.prompt, question.num_repetitions, question.output_format, run.seed, folder, question.overwrite
    )
    print("\n".join(map(str, files)))


if __name__ == "__main__":
    run_command(main)
