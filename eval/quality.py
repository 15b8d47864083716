"""How far generated motion is from held-out real motion, in physical metrics.

`python -m eval.quality --model_path save/mocap2d --num_samples 64` (needs the dataset's test clips)
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from sample.options import MasOptions, SamplingLine, parse_sampling_line
from utils.run.errors import UsageError, run_command
from utils.run.options import option


@dataclass(frozen=True)
class QualityOptions:
    """What is measured and where the table goes."""

    num_real: int = option(512, "held-out windows of real motion to compare with")
    num_labelled: int = option(0, "also draw so many 3D samples and name each by its nearest labelled clip (0: do not)")
    table: str = option("", "write the table to this file too")


@dataclass(frozen=True)
class QualityLine(SamplingLine):
    """The command line."""

    mas: MasOptions
    quality: QualityOptions


def main(argv: list[str]) -> None:
    """Run the command."""
    line = parse_sampling_line(QualityLine, "eval.quality", __doc__ or "", argv)
    sampling, data, quality = line.sampling, line.data, line.quality
    if data.dataset != "mocap2d":
        raise UsageError(f"eval.quality compares with real 3D motion, which {data.dataset} does not have; use mocap2d")
    if sampling.num_samples > quality.num_real:
        raise UsageError("--num_samples must not exceed --num_real: each sample takes the length of a real window")

    from eval.common.work import steps_shown
    from eval.mas.quality_table import class_table, quality_table
    from sample.common.session import open_session

    data = dataclasses.replace(data, data_split="test", data_augmentations=("facing_aug",))
    session = open_session(dataclasses.replace(line, data=data), steps_shown())
    text = quality_table(session, line.mas, quality.num_real)
    if quality.num_labelled:
        text += "\n" + class_table(session, line.mas, quality.num_labelled)
    print(text)
    if quality.table:
        Path(quality.table).write_text(text + "\n")


if __name__ == "__main__":
    run_command(main)
