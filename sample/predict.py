"""Entry: videos or joint angles of what a sentence says, by the function that a web endpoint would call.

It is in `sample/predictor.py`.

`python -m sample.predict --prompt "a person walks"`
"""

from dataclasses import dataclass

from sample.options import TEXT_MODEL
from utils.run.errors import run_command
from utils.run.options import RunOptions, option, parse


@dataclass(frozen=True)
class PredictOptions:
    """What is asked, of which model, and where the answer goes."""

    prompt: str = option("", "what the person does (required)")
    num_repetitions: int = option(3, "how many motions of it", min=1)
    output_format: str = option(
        "animation",
        "animation: an mp4 of each; json_file: joint angles of a body (HumanIK, for Maya)",
        ("animation", "json_file"),
    )
    model_path: str = option(TEXT_MODEL, "checkpoint file, or a folder: its newest", aliases=("model",), shipped=True)
    text_encoder_path: str = option("", "folder of CLIP's or DistilBERT's weights (default: transformers' cache)")
    output_dir: str = option("", "the folder to write (default: predict_... beside the checkpoint)")
    overwrite: bool = option(False, "replace what an earlier run wrote there; everything else stays")


def main(argv: list[str]) -> None:
    """Run the command."""
    run, asked = parse("sample.predict", __doc__ or "", (RunOptions, PredictOptions), argv)

    from sample.common.results import output_folder
    from sample.options import SamplingOptions
    from sample.predictor import Predictor, check_question

    check_question(asked.prompt, asked.num_repetitions, asked.output_format)
    named = SamplingOptions(
        model_path=asked.model_path, output_dir=asked.output_dir, overwrite=asked.overwrite, text_prompt=(asked.prompt,)
    )
    sure = ("joint_angles.json" if asked.output_format == "json_file" else "repetition_0.mp4",)
    folder = output_folder(named, run.seed, "predict", is_3d=True, sure=sure)
    predictor = Predictor(asked.model_path, run, text_encoder_path=asked.text_encoder_path)
    files = predictor.predict(
        asked.prompt, asked.num_repetitions, asked.output_format, run.seed, folder, asked.overwrite
    )
    print("\n".join(map(str, files)))


if __name__ == "__main__":
    run_command(main)
