"""What results.npy and its copies hold, family by family."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from data_loaders.representations import rotations_of
from sample.common.samples import Samples, caption
from sample.common.session import Session
from utils.formats import results
from utils.geometry.kinematics import global_rotations, local_rotations
from utils.geometry.rotations import about_axis
from utils.run.provenance import provenance


def features_content(session: Session, samples: Samples) -> dict[str, Any]:
    """The dict of results.npy of models of 3D motion (MDM): joints in the published order [N, J, 3, T]."""
    skeleton, repetitions = session.spec.skeleton, session.sampling.num_repetitions
    joints = samples.joints(session)
    texts = [title if isinstance(title, str) else list(dict.fromkeys(title)) for title in samples.titles]
    rotations = rotations_of(session.spec.representation, skeleton)(samples.features)
    if samples.turned is not None:
        world = samples.turned @ global_rotations(rotations, skeleton.parents)
        rotations = local_rotations(world, skeleton.parents)
    if samples.rotated is not None:
        root = skeleton.parents.index(-1)
        rotations[..., root, :, :] = about_axis("Y", samples.rotated)[:, None] @ rotations[..., root, :, :]
    raw = {} if samples.turned is None else {"motion_raw": _published(session.joints(samples.features))}
    return {
        "motion": _published(joints),
        **raw,
        "text": texts,
        "lengths": samples.lengths.numpy(),
        "num_samples": len(joints) // repetitions,
        "num_repetitions": repetitions,
        "features": samples.features.numpy().astype(np.float32),
        "rotations": rotations.numpy(),
        **_candidates(samples),
        **_origin(session),
    }


def _published(joints: Tensor) -> np.ndarray:
    """Joints [N, T, J, 3] in the published order [N, J, 3, T]."""
    return joints.permute(0, 2, 3, 1).contiguous().numpy().astype(np.float32)


def _candidates(samples: Samples) -> dict[str, Any]:
    """Which candidate each motion is, and the scores of all."""
    if samples.chosen is None:
        return {}
    chosen = samples.chosen
    scores = {name: values.numpy().astype(np.float32) for name, values in chosen.scores.items()}
    return {"candidates": {"taken": chosen.taken.numpy(), "total": chosen.total.numpy().astype(np.float32), **scores}}


def points_content(session: Session, samples: Samples) -> dict[str, Any]:
    """The dict of results.npy of MAS: 3D motions [B, T, J, 3]; 2D ones turn to the published order [B, J, 2, T]."""
    motions = samples.features.numpy().astype(np.float32)
    conditions: dict[str, Any] = {"lengths": samples.lengths.numpy()}
    if samples.data and "mask" in samples.data:
        mask = samples.data["mask"].expand(-1, -1, -1, 2)
        conditions |= {"mask": mask.permute(0, 2, 3, 1).contiguous().numpy(), "uncond": True}
    if session.sampling.text_prompt or session.encode:
        conditions["text"] = [caption(title) for title in samples.titles]
    if session.data.cond != "no_cond":
        if "action" in samples.condition:
            conditions["action"] = samples.condition["action"][:, None].numpy()
        conditions["scale"] = np.full(len(motions), session.sampling.guidance_param, np.float32)
    return {
        "motions": motions if motions.shape[-1] == 3 else np.ascontiguousarray(motions.transpose(0, 2, 3, 1)),
        "model_kwargs": {"y": conditions},
        **_origin(session),
    }


def _origin(session: Session) -> dict[str, Any]:
    """What the motion is, and of what."""
    skeleton = session.spec.skeleton
    return {
        "fps": float(session.spec.fps),
        "joint_names": list(skeleton.joints),
        "parents": list(skeleton.parents),
        "dataset": session.spec.name,
        "provenance": provenance(session.run.seed, session.path),
    }


def write_texts(path: Path, content: dict[str, Any]) -> None:
    """Write sentences and lengths beside a results.npy of MDM, which is read back."""
    results.write_texts(path, content)
    results.read(path)


def write_arrays(path: Path, content: dict[str, Any]) -> None:
    """Write results.npz, the motions of MAS without pickle, beside results.npy, which is read back."""
    lengths = content["model_kwargs"]["y"]["lengths"]
    names = {name: content[name] for name in ("fps", "joint_names", "parents")}
    np.savez_compressed(path.with_suffix(".npz"), motions=content["motions"], lengths=lengths, **names)
    results.load(path)
