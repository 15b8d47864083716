"""The published networks that recognise actions, by which models of HumanAct12 and UESTC are evaluated.

A recurrent one on joints (HumanAct12; Guo et al. 2020, Action2Motion) and spatial-temporal graph convolutions (ST-GCN;
Yan et al. 2018, sections 3.2 to 3.6) on joint rotations (UESTC; Petrovich et al. 2021) and on the positions of 15
joints (models of HumanAct12 without a condition; Raab et al. 2023, MoDi). Parameters have the names of the published
files. Every network gives what it sees in a motion (an embedding [B, D]) and its guess (logits [B, K]).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from utils.geometry.skeleton import SKELETONS
from utils.run import checkpoint
from utils.run.errors import DataError, MissingFileError

HIDDEN, LAYERS, EMBEDDING = 128, 2, 30  # of the recurrent network
KERNEL = 9  # frames that a convolution over time sees
ROOT = "pelvis"

# The 15 joints of MoDi, and the joint that each hangs on; the middle of the body is the neck.
POSE_JOINTS = (
    "head", "neck", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
    "pelvis", "left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle",
)  # fmt: skip
POSE_PARENTS = (1, -1, 1, 2, 3, 1, 5, 6, 1, 8, 9, 10, 8, 12, 13)


class RecurrentRecogniser(nn.Module):
    """Two recurrent layers over the frames; the last of them that counts tells the action."""

    def __init__(self, joints: int, actions: int):
        super().__init__()
        self.recurrent = nn.GRU(3 * joints, HIDDEN, LAYERS)
        self.linear1 = nn.Linear(HIDDEN, EMBEDDING)
        self.linear2 = nn.Linear(EMBEDDING, actions)

    def forward(self, joints: Tensor, lengths: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Embeddings [B, 30] and logits [B, K] of joints [B, T, J, 3] in metres, of which `lengths` [B] frames count.

        `before` [2, B, 128] is the state before the first frame, by default 0 (the published program draws it anew for
        every batch, so its scores differ from run to run).
        """
        states, _ = self.recurrent(joints.flatten(2).transpose(0, 1), before)
        last = states[lengths - 1, torch.arange(len(lengths), device=lengths.device)]
        embedding = torch.tanh(self.linear1(last))
        return embedding, self.linear2(embedding)


class GraphRecogniser(nn.Module):
    """Convolutions over joints that are near each other and over frames in turn, then the mean of what is left.

    `blocks` gives the width and the stride over frames of each block, `adjacency` [3, J, J] which joints each joint
    sees (`neighbours`), `channels` the numbers of a joint.
    """

    A: Tensor

    def __init__(self, adjacency: Tensor, channels: int, actions: int, blocks: Sequence[tuple[int, int]]):
        super().__init__()
        self.register_buffer("A", adjacency)
        self.data_bn = nn.BatchNorm1d(channels * adjacency.shape[-1])
        widths = [channels, *(width for width, _ in blocks)]
        self.st_gcn_networks = nn.ModuleList(
            _Block(width_in, width, stride, len(adjacency), first=not i)
            for i, (width_in, (width, stride)) in enumerate(zip(widths, blocks, strict=False))
        )
        self.edge_importance = nn.ParameterList(torch.ones_like(adjacency) for _ in blocks)
        self.fcn = nn.Conv2d(widths[-1], actions, 1)

    def forward(self, motion: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings [B, D] and logits [B, K] of motion [B, T, J, C], of which every frame counts."""
        x = self.data_bn(motion.flatten(2).transpose(1, 2))  # [B, J * C, T]
        x = x.unflatten(1, motion.shape[2:]).permute(0, 2, 3, 1)  # [B, C, T, J]
        for block, importance in zip(self.st_gcn_networks, self.edge_importance, strict=True):
            x = block(x, self.A * importance)
        x = x.mean((2, 3), keepdim=True)
        return x.flatten(1), self.fcn(x).flatten(1)


class _Block(nn.Module):
    """One convolution over joints and one over frames, with a way around both (none around the first block)."""

    def __init__(self, width_in: int, width: int, stride: int, parts: int, first: bool):
        super().__init__()
        self.gcn = nn.ModuleDict({"conv": nn.Conv2d(width_in, width * parts, 1)})
        self.tcn = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, (KERNEL, 1), (stride, 1), (KERNEL // 2, 0)),
            nn.BatchNorm2d(width),
            nn.Dropout(0.0),
        )
        self.residual: nn.Module | None = None if first else nn.Identity()
        if not first and (width_in != width or stride != 1):
            self.residual = nn.Sequential(nn.Conv2d(width_in, width, 1, (stride, 1)), nn.BatchNorm2d(width))

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """x [B, C, T, J] and how much of joint j reaches joint k, [3, J, J] -> [B, C', T / stride, J]."""
        seen = self.gcn["conv"](x).unflatten(1, (len(adjacency), -1))
        seen = self.tcn(torch.einsum("bpctj,pjk->bctk", seen, adjacency))
        return torch.relu(seen if self.residual is None else seen + self.residual(x))


def neighbours(parents: Sequence[int], centre: int) -> Tensor:
    """Which joints each joint of a tree sees, [3, J, J]: itself, neighbours of the first kind, those nearer the centre.

    Column k divides by the number of joints that k sees. As published, distance from the centre counts to 1 and no
    further ("spatial" partition, maximum hop 1), so that beyond its neighbours all joints are as far away, and are
    of the first kind to each other.
    """
    joints = len(parents)
    near = torch.eye(joints)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            near[joint, parent] = near[parent, joint] = 1
    share, own = near / near.sum(0), torch.eye(joints)
    away = 2 - near[centre]
    away[centre] = 0
    inner = (away[:, None] < away).float()
    return torch.stack([share * own, share * (1 - own) * (1 - inner), share * (1 - own) * inner])


def humanact12() -> RecurrentRecogniser:
    """The network of `humanact12_gru.tar`: joints of `smpl24` [B, T, 24, 3], 12 actions."""
    return RecurrentRecogniser(24, 12)


def uestc() -> GraphRecogniser:
    """The network of `uestc_rot6d_stgcn.tar`: rotations [B, T, 24, 6] (two rows of each matrix), 40 actions."""
    blocks = [(64, 1)] * 4 + [(128, 2)] + [(128, 1)] * 2 + [(256, 2)] + [(256, 1)] * 2
    return GraphRecogniser(neighbours(SKELETONS["smpl24"].parents, 0), 6, 40, blocks)


def poses() -> GraphRecogniser:
    """The network of `humanact12_gru_modi_struct.pth.tar`: `pose_joints` [B, T, 15, 3], 12 actions."""
    blocks = [(64, 1)] * 3 + [(128, 2), (128, 1), (256, 2)]
    return GraphRecogniser(neighbours(POSE_PARENTS, POSE_JOINTS.index("neck")), 3, 12, blocks)


def pose_joints(joints: Tensor) -> Tensor:
    """Those 15 of joints of `smpl24` [..., 24, 3], the pelvis at the origin in every frame: [..., 15, 3]."""
    chosen = joints[..., [SKELETONS["smpl24"].index(name) for name in POSE_JOINTS], :]
    return centred(chosen)


def centred(chosen: Tensor) -> Tensor:
    """The 15 joints [..., 15, 3] from the pelvis."""
    root = POSE_JOINTS.index(ROOT)
    return chosen - chosen[..., root : root + 1, :]


@dataclass(frozen=True)
class PublishedFile:
    """Where a network's weights are published, and what brings them."""

    name: str
    script: str
    build: Callable[[], nn.Module]


FILES = {
    "humanact12": PublishedFile("humanact12_gru.tar", "download_recognition_models.sh", humanact12),
    "uestc": PublishedFile("uestc_rot6d_stgcn.tar", "download_recognition_models.sh", uestc),
    "poses": PublishedFile(
        "humanact12_gru_modi_struct.pth.tar", "download_recognition_unconstrained_models.sh", poses
    ),
}  # fmt: skip


def load(kind: str, folder: str | Path) -> nn.Module:
    """One of FILES from `folder`, in evaluation. Raises MissingFileError, or DataError for any other file."""
    file = FILES[kind]
    path = Path(folder) / file.name
    if not path.is_file():
        raise MissingFileError(f"{path} is missing; this brings it: bash prepare/{file.script}")
    network = file.build()
    weights = checkpoint.weights(checkpoint.load(path))
    for name, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise DataError(f"{path}: the weights {name} hold NaN or infinity; fetch it again: prepare/{file.script}")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()[:160]
        raise DataError(
            f"{path} is not the published network: {reason}; fetch it again: prepare/{file.script}"
        ) from error
    return cast(nn.Module, network.eval())
