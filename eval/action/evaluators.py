"""The evaluators of models of HumanAct12 and UESTC: the published recognisers of actions, and what they depend on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from body.models import load_body
from data_loaders.options import DataOptions
from data_loaders.registry import DatasetSpec
from data_loaders.representations import rot6d
from model.evaluators import action_recognition
from model.evaluators.action_recognition import centred, pose_joints
from utils.geometry.rest import offsets_of, rest_offsets
from utils.run.arrays import load_array
from utils.run.checkpoint import digest
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.randomness import key_of

FOLDER = "assets/actionrecognition"
DATASETS = ("humanact12", "uestc")
REAL_POSES = "humanact12_unconstrained_modi_struct.npy"
Found = dict[str, np.ndarray]


@dataclass(frozen=True)
class Recognisers:
    """The recogniser of a dataset's actions and, for unconditional models of HumanAct12, that of poses.

    `offsets` [24, 3] are the bones on which rotations become the joints that they see; `real_poses` [M, T, 15, 3] the
    motions that the latter holds generated ones against. `identity` has `name`, `path` and `sha256`.
    """

    dataset: str
    actions: nn.Module
    identity: dict[str, str]
    offsets: Tensor
    poses: nn.Module | None = None
    real_poses: Tensor | None = None

    def recognise(self, features: Tensor, lengths: Tensor, before: Tensor | None = None) -> Found:
        """`embeddings` [B, D] and `logits` [B, K] of features [B, T, 150], of which `lengths` [B] frames count.

        `before` is the state of a recurrent recogniser before the first frame (default: 0). UESTC's sees rotations and
        all frames.
        """
        if self.dataset == "uestc":
            rotations = features[..., : rot6d.JOINTS * rot6d.ROW].unflatten(-1, (rot6d.JOINTS, rot6d.ROW))
            return _seen(self.actions, rotations)
        return _seen(self.actions, rot6d.decode(features, self.offsets), lengths, before)

    def see_generated_poses(self, features: Tensor) -> np.ndarray:
        """Embeddings [B, 256] of the poses of features [B, T, 150]."""
        return self.see_poses(pose_joints(rot6d.decode(features, self.offsets)))

    def see_poses(self, joints: Tensor) -> np.ndarray:
        """Embeddings [B, 256] of 15 joints [B, T, 15, 3]; there is a recogniser of poses."""
        assert self.poses is not None
        return _seen(self.poses, joints)["embeddings"]


def _seen(network: nn.Module, motion: Tensor, *more: Tensor | None) -> Found:
    device = next(network.parameters()).device
    with torch.no_grad():
        found = network(motion.to(device), *(each if each is None else each.to(device) for each in more))
    embeddings, logits = (each.float().cpu().numpy() for each in found)
    return {"embeddings": embeddings, "logits": logits}


def load_recognisers(
    spec: DatasetSpec,
    data: DataOptions,
    folder: str | Path = FOLDER,
    body: str = "",
    device: str | torch.device = "cpu",
) -> Recognisers:
    """The recognisers of a dataset from the folder of the published files.

    `body` says on whose bones they see motion: smpl, free, or a SMPL file (default: smpl where it is there, else free);
    the published metrics were taken on SMPL's. Raises UsageError for another dataset, MissingFileError saying which
    script brings a file, DataError for a file that is something else.
    """
    if spec.name not in DATASETS:
        raise UsageError(f"recognisers of actions are for models of {' and '.join(DATASETS)}, not of {spec.name}")
    unconditional = spec.name == "humanact12" and data.cond == "no_cond"
    kinds = [spec.name, "poses"] if unconditional else [spec.name]
    networks = [action_recognition.load(kind, folder).to(device) for kind in kinds]
    files = [action_recognition.FILES[kind].name for kind in kinds]
    digests = [digest(Path(folder) / name) for name in files]
    offsets, whose = (rest_offsets(), "") if spec.name == "uestc" else _offsets(body)
    identity = {
        "name": " and ".join(files) + whose,
        "path": str(folder),
        "sha256": digests[0] if len(digests) == 1 else f"{key_of(*digests):016x}",
    }
    real = load_real_poses(spec, data) if unconditional else None
    return Recognisers(spec.name, networks[0], identity, offsets, *networks[1:], real_poses=real)


def _offsets(body: str) -> tuple[Tensor, str]:
    """The way [24, 3] from parent to joint of a body, and the words that say whose."""
    model = load_body(body)
    if model.name == "free":
        return rest_offsets(), " on the free body"
    return offsets_of(torch.from_numpy(np.asarray(model.rest, np.float32))), f" on the body {model.name}"


def load_real_poses(spec: DatasetSpec, data: DataOptions) -> Tensor:
    """The real motions [M, T, 15, 3] that those of unconditional models are held against.

    On disk [M, 15 or more, 3, T], metres. Raises MissingFileError or DataError.
    """
    path = spec.folder(data.datapath) / REAL_POSES
    if not path.is_file():
        raise MissingFileError(
            f"{path} does not exist, which models without a condition are held against; dataset/README.md says "
            "where it is found"
        )
    motions, joints = load_array(path), len(action_recognition.POSE_JOINTS)
    shape = motions.shape
    if motions.ndim != 4 or shape[1] < joints or shape[2] != 3 or motions.dtype.kind != "f" or not motions.size:
        raise DataError(f"{path} must hold floats [motions, {joints} or more, 3, frames], not {motions.dtype} {shape}")
    if not np.isfinite(motions).all():
        raise DataError(f"{path} holds NaN or infinity")
    return centred(torch.from_numpy(motions[:, :joints].astype(np.float32)).permute(0, 3, 1, 2))
