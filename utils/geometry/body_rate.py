"""Bodies in motion at other rates: rotations along shortest arcs (slerp), paths by cubics, the nearest contacts."""

from dataclasses import replace

import numpy as np
import torch

from utils.geometry.body import BodyMotion
from utils.geometry.resample import resample
from utils.geometry.rotations import matrix_to_quaternion, quaternion_to_matrix, slerp


def at_rate(motion: BodyMotion, fps: float) -> BodyMotion:
    """The clip at another rate, as many frames as fit into it; what else is told of frames (`targets`) by cubics."""
    if fps == motion.fps:
        return motion
    root = resample(motion.root, motion.fps, fps)
    times = np.arange(len(root)) * (motion.fps / fps)
    before = np.clip(np.floor(times).astype(int), 0, len(motion.root) - 1)
    after = np.minimum(before + 1, len(motion.root) - 1)
    start, end = (
        matrix_to_quaternion(torch.from_numpy(np.asarray(motion.rotations[k], np.float64))) for k in (before, after)
    )
    turned = quaternion_to_matrix(slerp(start, end, torch.from_numpy(times - before)[:, None])).float().numpy()
    contacts = None
    if motion.contacts is not None:
        contacts = motion.contacts[np.clip(np.rint(times).astype(int), 0, len(motion.root) - 1)]
    meta = motion.meta
    if "targets" in meta:
        meta = meta | {"targets": resample(meta["targets"], motion.fps, fps)}
    return replace(motion, rotations=turned, root=root.astype(np.float32), fps=float(fps), contacts=contacts, meta=meta)
