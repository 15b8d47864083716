"""Pose-NDF from files: our checkpoints with their args.json, and published ones with their config.yaml."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from model.options import PoseNDFOptions
from model.poses.pose_ndf import FEATURE, JOINTS, PoseNDF
from utils.run import checkpoint
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.files import read_yaml
from utils.run.options import read_saved
from utils.run.randomness import torch_generator

PUBLISHED_FILE = "checkpoint_epoch_best.tar"
PUBLISHED_CONFIG = "config.yaml"
_NAMES = {item.name for item in fields(PoseNDFOptions)}
_ACTS = ("softplus", "lrelu", "relu")
_TRIED = 256  # random poses
DEAD = 1e-12  # distance that a network says at least of some of them, unless it is dead: softplus never says 0 quite


def load_pose_ndf(
    path: str | Path,
    config: str | Path = "",
    parents: str = "",
    device: str | torch.device = "cpu",
    flag: str = "--model_path",
) -> PoseNDF:
    """The network of a checkpoint, or of the newest in a folder, frozen.

    Our own has its args.json beside it; a published one (`.tar`) has its `config`, which is looked for beside it and in
    the folder above. `parents` is the list of parents that a published one was trained with, where not `published`.
    `flag` is the one that named the path.
    Raises MissingFileError, UsageError, or DataError for another network, one that does not fit what is said of it, and
    one that has not learned.
    """
    found = resolved(path, flag)
    if found.suffix == ".tar":
        options, state = _published(found, Path(config) if config else _config_of(found), parents)
    elif config or parents:
        raise UsageError(f"{found} has an args.json: --model_config and --parents are for published checkpoints (.tar)")
    else:
        options, state = _ours(found)
    network = PoseNDF(options)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()[:160]
        raise DataError(f"{found} does not fit the network that is described beside it: {reason}") from error
    network = network.to(device).eval().requires_grad_(False)
    if is_dead(network):
        raise DataError(f"{found} says about 0 for every pose: it has not learned, train it again (--act softplus)")
    return network


def is_dead(network: PoseNDF) -> bool:
    """Whether the network says `DEAD` or less for all of some random poses, which are far from plausible ones.

    It has no gradient to learn, or project, by.
    """
    draws = torch.randn(_TRIED, len(JOINTS), 4, generator=torch_generator(0, "is the pose prior dead"))
    with torch.no_grad():
        found = network(normalize(draws, dim=-1).to(next(network.parameters()).device))
    return not bool((found > DEAD).any())


def resolved(path: str | Path, flag: str = "--model_path") -> Path:
    """The file that a path means: a published folder means what is in it, or in its `checkpoints`.

    Raises MissingFileError.
    """
    path = Path(path)
    said = "a folder with a checkpoint of train.train_posendf, or the checkpoint_epoch_best.tar of a published one"
    if not path.exists():
        raise MissingFileError(f"{path} does not exist; {flag} names {said}")
    for published in (path / PUBLISHED_FILE, path / "checkpoints" / PUBLISHED_FILE):
        if published.is_file():
            return published
    try:
        return checkpoint.resolve(path)
    except MissingFileError as error:
        raise MissingFileError(f"{error}; {flag} names {said}") from error


def _ours(path: Path) -> tuple[PoseNDFOptions, dict[str, Tensor]]:
    saved = read_saved(path, (PoseNDFOptions,), _NAMES, ())
    if "dims" not in saved:
        raise DataError(f"{path} is no pose prior: its args.json names no --dims")
    return PoseNDFOptions(**saved), checkpoint.weights(checkpoint.load(path))


def _published(path: Path, config: Path, parents: str) -> tuple[PoseNDFOptions, dict[str, Tensor]]:
    options = read_config(config)
    state = checkpoint.load(path).get("model_state_dict")
    if state is None:
        raise DataError(f"{path} holds no model_state_dict, which published pose priors have")
    return replace(options, parents=parents or options.parents), checkpoint.weights({"model": state})


def _config_of(path: Path) -> Path:
    """The configuration that goes with a published checkpoint."""
    for folder in (path.parent, path.parent.parent):
        if (folder / PUBLISHED_CONFIG).is_file():
            return folder / PUBLISHED_CONFIG
    raise MissingFileError(
        f"{path.parent / PUBLISHED_CONFIG} is missing, here and in the folder above; it says what network {path.name} "
        "is (--model_config names it)"
    )


def read_config(path: str | Path) -> PoseNDFOptions:
    """What the published configuration says of the network, with the published parents.

    Raises MissingFileError, or DataError where it is another network's or not plain YAML.
    """
    content = read_yaml(path)
    model = content.get("model") if isinstance(content, dict) else None
    head, encoder = (_part(model, name) for name in ("DFNet", "StrEnc"))
    if not head or not encoder:
        raise DataError(f"{path} is the configuration of another network: Pose-NDF's has model: DFNet and StrEnc")
    wanted = (("num_parts", head, len(JOINTS)), ("in_dim", head, FEATURE * len(JOINTS)), ("out_dim", encoder, FEATURE))
    for name, part, number in wanted:
        if part.get(name, number) != number:
            raise DataError(f"{path} has {name} {str(part[name])[:40]!r}; Pose-NDF of SMPL's 21 joints has {number}")
    if encoder.get("use", True) is not True:
        raise DataError(f"{path} leaves the joints' networks out (StrEnc use), which no published program can run")
    options = PoseNDFOptions(
        dims=_dims(head.get("dims"), path), act=_act(head, path), beta=_beta(head, path), parents="published",
        encoder_act=_act(encoder, path), encoder_beta=_beta(encoder, path),
    )  # fmt: skip
    same = (options.encoder_act, options.encoder_beta) == (options.act, options.beta)
    return replace(options, encoder_act="", encoder_beta=0.0) if same else options


def _part(model: Any, name: str) -> Mapping[str, Any]:
    part = model.get(name) if isinstance(model, dict) else None
    return part if isinstance(part, dict) else {}


def _dims(value: Any, path: str | Path) -> str:
    words = value if isinstance(value, list) else str(value).split(",")
    dims = [str(word).strip() for word in words]
    if not all(word.isdigit() for word in dims):
        raise DataError(f"{path} has dims {str(value)[:80]!r}, which are no widths of layers (256,512,64)")
    return ",".join(dims)


def _act(part: Mapping[str, Any], path: str | Path) -> str:
    act = part.get("act", "lrelu")
    if act not in _ACTS:
        raise DataError(f"{path} has act {str(act)[:40]!r}; Pose-NDF has {', '.join(_ACTS)}")
    return act


def _beta(part: Mapping[str, Any], path: str | Path) -> float:
    beta = part.get("beta", 100)
    if isinstance(beta, bool) or not isinstance(beta, int | float) or not 0 < beta < float("inf"):
        raise DataError(f"{path} has beta {str(beta)[:40]!r}, which is no sharpness")
    return float(beta)
