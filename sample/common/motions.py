"""The files of 3D motion that a model made by itself: results.npy, sentences, videos, grids, a contact sheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_loaders.representations import rotations_of
from sample.common.session import Request, Session
from utils.formats import results, video
from utils.geometry.rotations import about_axis
from utils.run.errors import NumericError
from utils.run.folders import atomic_folder
from utils.run.provenance import provenance
from visualize.sticks import contact_sheet, figures, grid


@dataclass(frozen=True)
class Made:
    """Motions and what is said of them.

    `features` [B, T, F] in data units, `lengths` [B], a title for each motion, or one a frame; `given` [B, T, J] is
    true where a joint was not made but given; `placed` [B, T, J, 3] are joints in the world, where the features alone
    do not say it, which may be `turned` [B] about y against them. `inputs` are the motions that were edited, one a
    sample: joints [T, J, 3] in the world and a title.
    """

    features: Tensor
    lengths: Tensor
    titles: Sequence[str | Sequence[str]]
    given: Tensor | None = None
    placed: Tensor | None = None
    turned: Tensor | None = None
    inputs: Sequence[tuple[Tensor, str]] = ()


def made(request: Request, features: Tensor) -> Made:
    """What was asked for, made."""
    return Made(features, request.lengths, request.titles)


def caption(title: str | Sequence[str]) -> str:
    """A title, or titles of frames one after another."""
    return title if isinstance(title, str) else ", ".join(dict.fromkeys(title))


def write_motions(folder: Path, session: Session, motions: Made) -> list[str]:
    """Write the folder, whole or not at all, and return the names of its videos. Raises NumericError for NaN."""
    if not torch.isfinite(motions.features).all():
        raise NumericError("the sampled motions hold NaN or infinity: nothing was written")
    joints = session.joints(motions.features) if motions.placed is None else motions.placed
    with atomic_folder(folder, session.sampling.overwrite) as target:
        content = motion_content(session, motions, joints)
        results.write(target / "results.npy", content)
        results.write_texts(target / "results.npy", content)
        videos = write_pictures(target, session, motions, joints)
        results.read(target / "results.npy")
    return videos


def write_pictures(folder: Path, session: Session, motions: Made, joints: Tensor) -> list[str]:
    """Write a video of each motion, joints [B, T, J, 3] in the world, grids of them and a contact sheet, where what was
    edited leads its row; the names of the videos, which have been read back."""
    skeleton, fps, lengths = session.spec.skeleton, session.spec.fps, motions.lengths.tolist()
    cut = [clip[:length].numpy() for clip, length in zip(joints.float(), lengths, strict=True)]
    given: list[np.ndarray | None] = [None] * len(cut)
    if motions.given is not None:
        given = [mask[:length].numpy() for mask, length in zip(motions.given, lengths, strict=True)]
    inputs = [(clip.float().numpy(), f"input: {title}", np.ones(len(clip), bool)) for clip, title in motions.inputs]
    drawn = list(zip(cut, motions.titles, given, strict=True))
    samples = len(cut) // session.sampling.num_repetitions
    names = ("row", "col") if session.data.cond == "no_cond" else ("sample", "rep")
    pictures = [figures.draw_world(clip, skeleton, title, given=mask) for clip, title, mask in drawn]
    columns = [pictures[s::samples] for s in range(samples)]
    before = [figures.draw_world(clip, skeleton, title, given=mask) for clip, title, mask in inputs]
    videos = grid.write_samples(folder, columns, fps, names, before)
    if inputs:
        drawn = [row for s in range(samples) for row in (inputs[s], *drawn[s::samples])]
    clips, titles, masks = zip(*drawn, strict=True)
    contact_sheet.write_world_sheet(
        folder / "contact_sheet.png", clips, skeleton, [caption(title) for title in titles], fps=fps,
        given=masks if motions.given is not None else None,
    )  # fmt: skip
    for name in videos:
        video.frame_count(folder / name)
    return videos


def motion_content(session: Session, motions: Made, joints: Tensor) -> dict[str, Any]:
    """The dict of results.npy of 3D motion: joints in the published order [N, J, 3, T]."""
    skeleton, repetitions = session.spec.skeleton, session.sampling.num_repetitions
    texts = [title if isinstance(title, str) else list(dict.fromkeys(title)) for title in motions.titles]
    rotations = rotations_of(session.spec.representation, skeleton)(motions.features)
    if motions.turned is not None:
        root = skeleton.parents.index(-1)
        rotations[..., root, :, :] = about_axis("Y", motions.turned)[:, None] @ rotations[..., root, :, :]
    return {
        "motion": joints.permute(0, 2, 3, 1).contiguous().numpy().astype(np.float32),
        "text": texts,
        "lengths": motions.lengths.numpy(),
        "num_samples": len(joints) // repetitions,
        "num_repetitions": repetitions,
        "features": motions.features.numpy().astype(np.float32),
        "rotations": rotations.numpy(),
        "fps": float(session.spec.fps),
        "joint_names": list(skeleton.joints),
        "parents": list(skeleton.parents),
        "dataset": session.spec.name,
        "provenance": provenance(session.run.seed, session.path),
    }
