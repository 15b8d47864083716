"""The files of an evaluation of MAS: the published table, the record, example motions, videos."""

from collections.abc import Sequence
from pathlib import Path

from eval.common.evaluation import Outcome
from eval.mas.scores import MasEvaluation
from eval.reporting import record
from sample.common.pictures import write_video
from train.options import ComparisonOptions
from utils.run.folders import atomic_folder


def samples_folder(checkpoint: Path) -> Path:
    """Where generated motions are kept by default."""
    return checkpoint.with_name(f"{checkpoint.stem}_eval_samples")


def table_stem(checkpoint: Path, comparison: ComparisonOptions, output_dir: str = "") -> Path:
    """The path of the table and of the files beside it, without their endings: published, beside the checkpoint."""
    folder = Path(output_dir) if output_dir else checkpoint.parent
    return folder / f"{checkpoint.stem}_eval_{comparison.angle_mode if comparison.truth == '2d' else '3d'}"


def write(stem: Path, evaluation: MasEvaluation, outcome: Outcome) -> str:
    """Write `<stem>.txt`, `<stem>.json` and `<stem>_examples.npz`; returns the table."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    text = record.table(outcome.values, evaluation.comparison.metrics_names)
    record.write(stem, outcome.content, text, outcome.examples)
    return text


def videos_folder(stem: Path) -> Path:
    """Where the videos lie."""
    return record.beside(stem, "_videos")


def write_videos(stem: Path, evaluation: MasEvaluation, subjects: Sequence[str], count: int) -> None:
    """Write `<stem>_videos/<subject>_sample_<i>.mp4`: the first motions of the first iteration, 3D ones in 3D."""
    if not subjects:
        return
    with atomic_folder(videos_folder(stem), overwrite=True) as folder:
        for subject in subjects:
            motions = evaluation.motions(0, subject)
            for i, length in enumerate(motions.lengths[:count].tolist()):
                clip = motions.points[i, :length].numpy()
                write_video(folder / f"{subject}_sample_{i}.mp4", clip, evaluation.session.spec, subject)
