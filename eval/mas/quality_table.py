"""The quality table of a 2D motion model: metrics of generated clips beside those of held-out real ones."""

import dataclasses

import numpy as np
import torch

from data_loaders.points.projections import ProjectedDataset, action_ids, drawn_windows, rotate_y, see
from data_loaders.registry import load_dataset
from eval.common.held_out import held_out_part
from eval.metrics.physical import facing_aligned, nearest_labels, summary
from sample.common.plain import sample_plain
from sample.common.request import choose_conditions, frames_in
from sample.common.session import Request, Session
from sample.multiview.sampling import sample_3d
from sample.options import MasOptions
from utils.geometry.kinematics import rigid_bones
from utils.run.errors import DataError

LABEL_FRAMES = 40  # of the window by which a clip is named
COMMON = 0.01  # classes with a larger share of the training frames must be met
Clips = list[np.ndarray]


def real_clips(
    dataset: ProjectedDataset, count: int, seed: int, longest: int | None = None
) -> tuple[Clips, Clips, torch.Tensor]:
    """Real windows: 2D [T, J, 2] and 3D [T, J, 3] in metres, rotated alike, and their lengths [count].

    `longest` cuts them to so many frames.
    """
    spec = dataset.spec
    windows = drawn_windows(dataset, count, seed)
    flat = see(windows["points"], windows["azimuth"], spec) * spec.skeleton.metres_per_unit
    solid = rotate_y(windows["points"], windows["azimuth"])
    lengths = windows["lengths"].clamp(max=longest or windows["points"].shape[1])
    return cut(flat, lengths), cut(solid, lengths), lengths


def cut(motions: torch.Tensor, lengths: torch.Tensor) -> Clips:
    """Each motion [B, T, J, C] without its padding."""
    return [motion[:length].numpy() for motion, length in zip(motions, lengths.tolist(), strict=True)]


def quality_table(session: Session, options: MasOptions, real: int) -> str:
    """Markdown: real, generated and their ratio, in 2D, in 3D as solved, and in 3D with rigid bones.

    Generated clips have the lengths of the first real ones, so that slow change means the same on both sides;
    `--motion_length` bounds both.
    """
    spec, count, seconds = session.spec, session.sampling.num_samples, session.sampling.motion_length
    longest = frames_in(seconds, spec) if seconds else None
    with held_out_part(spec, session.data.datapath):
        dataset = load_dataset(spec, session.data, "none", session.run.seed)
    flat_real, solid_real, lengths = real_clips(dataset, real, session.run.seed, longest)
    request = Request(lengths[:count], *choose_conditions(session, count))
    flat = cut(sample_plain(session, request) * spec.skeleton.metres_per_unit, request.lengths)
    raw = sample_3d(session, request, dataclasses.replace(options, bones="raw"))
    rigid = rigid_bones(raw, spec.skeleton, request.lengths)
    measured = {
        "2D real": flat_real, "2D": flat, "3D real": solid_real,
        "3D raw": cut(raw, request.lengths), "3D rigid": cut(rigid, request.lengths),
    }  # fmt: skip
    metrics = {name: summary(clips, spec.fps, spec.skeleton) for name, clips in measured.items()}
    columns = ["2D real", "2D", "ratio 2D", "3D real", "3D raw", "ratio raw", "3D rigid", "ratio rigid"]
    lines = [
        f"| {count} clips against {real} real windows | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in metrics["3D raw"]:
        cells = []
        for column in columns:
            source = {"ratio 2D": "2D", "ratio raw": "3D raw", "ratio rigid": "3D rigid"}.get(column, column)
            value = metrics[source].get(name, float("nan"))
            reference = metrics[source[:2] + " real"].get(name, float("nan"))
            ratio = value / reference if reference else float("nan")
            cells.append(table_cell(value, ratio, column.startswith("ratio"), name.endswith("percent")))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def table_cell(value: float, ratio: float, is_ratio: bool, is_percent: bool) -> str:
    """A metric, or its ratio to the real one; shares in per cent have no ratio, 2D clips no bones."""
    if np.isnan(value) or (is_ratio and is_percent):
        return "-"
    return f"{ratio:.2f}" if is_ratio else f"{value:.3g}"


def label_feature(clip: np.ndarray, session: Session) -> np.ndarray:
    """Poses of the middle `LABEL_FRAMES` of a 3D clip, facing one way, every fourth frame, as one row."""
    first = (len(clip) - LABEL_FRAMES) // 2
    return facing_aligned(clip[first : first + LABEL_FRAMES], session.spec.skeleton, "LHip", "RHip")[::4].reshape(-1)


def class_table(session: Session, options: MasOptions, count: int) -> str:
    """Which kinds of motion `count` samples show: each is named by its nearest labelled real window.

    Lists the share of every class among the training frames and among the samples, the classes above 1 % that were
    not met at the end. Raises DataError if no training clip is long enough to name motion by.
    """
    spec = session.spec
    dataset = load_dataset(spec, dataclasses.replace(session.data, data_split="train"), "none", session.run.seed)
    known, labels, frames = [], [], np.zeros(len(spec.actions))
    step = round(dataset.motions.fps / spec.fps * 1000) / 1000
    for clip in dataset.clips:
        label = action_ids(clip["actions"], spec)[0]
        frames[label] += clip["stop"] - clip["start"]
        points = dataset.motions.positions[clip["start"] : clip["stop"]]
        points = (points - points[:, [spec.pinned_root]]) * np.array([1, 1, -1], np.float32)
        at = np.round(np.arange(LABEL_FRAMES) * step).astype(int)
        for start in range(0, len(points) - at[-1], 15):
            known.append(label_feature(points[start + at], session))
            labels.append(label)
    if not known:
        raise DataError(f"{session.data.datapath} has no train clip of {LABEL_FRAMES} frames to name motion by")
    request = Request(torch.full((count,), 60), *choose_conditions(session, count))
    samples = cut(sample_3d(session, request, options), request.lengths)
    found = nearest_labels([label_feature(clip, session) for clip in samples], np.stack(known), np.array(labels))
    shares, met = frames / frames.sum(), np.bincount(found, minlength=len(spec.actions))
    lines = ["| class | share of training frames | samples |", "|---|---|---|"]
    lines += [f"| {spec.actions[i]} | {100 * shares[i]:.1f} % | {met[i]} |" for i in np.argsort(-shares)]
    missed = [spec.actions[i] for i in range(len(met)) if shares[i] > COMMON and not met[i]]
    return "\n".join([*lines, f"Classes above 1 % that were not met: {', '.join(missed) or 'none'}."])
