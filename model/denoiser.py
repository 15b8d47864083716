"""The one constructor of denoisers: every architecture takes (x [B, T, F], step [B], lengths [B], action [B])."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from model.options import ModelOptions

Weights = dict[str, Tensor]


def build_denoiser(options: ModelOptions, features: int, num_actions: int = 0) -> nn.Module:
    """A denoiser of `features` numbers a frame; `num_actions` 0 is a model that takes no condition."""
    size = {name: getattr(options, name) for name in ("latent_dim", "layers", "num_heads", "ff_size")}
    if options.arch == "dit":
        from model.dit import DiT

        return DiT(features, **size, frames_per_token=options.frames_per_token, num_actions=num_actions)
    from model.sequence import SequenceDenoiser

    published = {name: getattr(options, name) for name in ("arch", "dropout", "activation", "emb_trans_dec")}
    return SequenceDenoiser(
        features=features,
        num_actions=num_actions,
        recurrence=options.recurrence,
        padding=options.padding,
        **size,
        **published,
    )


def file_layout(options: ModelOptions) -> tuple[Callable[[Weights], Weights], Callable[[Weights], Weights]]:
    """Two functions on state dicts: to the names of a checkpoint file, and back (published names where published)."""
    if options.arch == "dit":
        return dict, dict
    from model.published import from_published, to_published

    return partial(to_published, latent_dim=options.latent_dim), from_published
