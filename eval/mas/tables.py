"""The files of an evaluation of MAS: the published table, the record, example motions, videos."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.mas.scores import Evaluation, motions_of, reader
from eval.reporting import record
from sample.common.pictures import write_video
from train.options import JudgeOptions
from utils.run.files import atomic_folder


def samples_folder(checkpoint: Path) -> Path:
    """Where generated motions are kept unless told otherwise."""
    return checkpoint.with_name(f"{checkpoint.stem}_eval_samples")


def table_stem(checkpoint: Path, judge: JudgeOptions, output_dir: str = "") -> Path:
    """The path of the table and of the files beside it, without their endings: published, beside the checkpoint."""
    folder = Path(output_dir) if output_dir else checkpoint.parent
    return folder / f"{checkpoint.stem}_eval_{judge.angle_mode if judge.truth == '2d' else '3d'}"


def write(stem: Path, evaluation: Evaluation, content: Mapping[str, Any], examples: Mapping[str, np.ndarray]) -> str:
    """Write `<stem>.txt`, `<stem>.json` and `<stem>_examples.npz`; returns the table."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    found = content["subjects"]
    values = {subject: {name: each["values"] for name, each in row.items()} for subject, row in found.items()}
    text = record.table(values, evaluation.judge.metrics_names)
    record.write(stem, content, text, examples)
    return text


def write_videos(stem: Path, evaluation: Evaluation, subjects: Sequence[str], count: int) -> None:
    """Write `<stem>_videos/<subject>_sample_<i>.mp4`: the first motions of the first iteration, 3D ones in 3D."""
    if not subjects:
        return
    with atomic_folder(record.beside(stem, "_videos"), overwrite=True) as folder:
        for subject in subjects:
            motions = motions_of(evaluation, reader(evaluation), 0, subject)
            for i, length in enumerate(motions.lengths[:count].tolist()):
                clip = motions.points[i, :length].numpy()
                write_video(folder / f"{subject}_sample_{i}.mp4", clip, evaluation.session.spec, subject)
