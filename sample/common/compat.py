"""What `--compat` decides about sampling: how noise is drawn, and what the published programs do otherwise."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from data_loaders.registry import DatasetSpec
from diffusion.noise import Noise
from sample.common import draws, published
from sample.common.draws import Draws
from sample.options import SamplingLine

if TYPE_CHECKING:
    from sample.common.session import Request, Session


@dataclass(frozen=True)
class Compat:
    """A way of sampling.

    `plain_noise(session, request)` is the noise of motion sampled by itself, `view_draws(session, request, views,
    distilling)` that of several views, `seed(line)` what is done with the global generators once the model is built,
    and `data_motions(session)` the motions that `--use_data` takes. `global_draws`: noise comes from those generators,
    all of it in one order. `predicts_x0`: the output of a network is x_0 whatever it was trained to be; `sigma_small`:
    ancestral steps have the variance of the posterior. `pads`: frames beyond a length are 0; `pins_root`: motion stays
    about the root; `eases_edits`: what is sampled meets what is known smoothly, and in the world where it was.
    """

    plain_noise: "Callable[[Session, Request], Noise]" = draws.plain_noise
    view_draws: "Callable[[Session, Request, int, bool], Draws]" = draws.view_draws
    seed: Callable[[SamplingLine], None] = lambda line: None
    data_motions: "Callable[[Session], dict[str, Any]]" = draws.data_motions
    global_draws: bool = False
    predicts_x0: bool = False
    sigma_small: bool = False
    pads: bool = True
    pins_root: bool = True
    eases_edits: bool = True


OURS = Compat()
MDM = replace(OURS, eases_edits=False)
MAS = Compat(
    plain_noise=published.plain_noise, view_draws=published.view_draws, seed=published.seed,
    data_motions=published.data_motions,
    global_draws=True, predicts_x0=True, sigma_small=True, pads=False, pins_root=False, eases_edits=False,
)  # fmt: skip


def compat_of(compat: str, spec: DatasetSpec) -> Compat:
    """The way of `--compat`: ours (`none`), or that of the programs published for the family of a dataset."""
    return spec.family.function("compat") if compat == "published" else OURS
