"""Entry: keep some of a motion and make the rest anew: the middle, the upper body, all but keyframes, single joints.

`python -m sample.edit --model_path save/mocap_text --edit_mode upper_body --text_condition "a person waves"`
3D motion of a 2D model (`--model_path save/mocap2d --input_motion FILE`) is edited inside MAS.
"""

from sample.options import OF_THE_CHECKPOINT, TEXT_MODEL, EditOptions, MasOptions, parse_sampling
from utils.run.errors import run_command


def main(argv: list[str]) -> None:
    """Run the command."""
    options = parse_sampling(
        "sample.edit", __doc__ or "", (MasOptions, EditOptions), argv, TEXT_MODEL,
        advanced=(*OF_THE_CHECKPOINT, MasOptions, "text_prompt", "input_text", "action_name"),
    )  # fmt: skip

    from sample.editing.editing import run_edit

    run_edit(options)


if __name__ == "__main__":
    run_command(main)
