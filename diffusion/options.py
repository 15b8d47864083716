"""The flags of the diffusion process and of its losses."""

from dataclasses import dataclass

from utils.run.options import option

LOSS_WEIGHTS = ("uniform", "inv_sqrt_noise", "inv_noise")


@dataclass(frozen=True)
class DiffusionOptions:
    """The noise process and what the network predicts of it."""

    model_mean_type: str = option("x_start", "what the network predicts", ("x_start", "epsilon"), advanced=True)
    noise_schedule: str = option("cosine_tau_2", "linear, cosine or cosine_tau_<number>", advanced=True)
    diffusion_steps: int = option(100, "steps of the process that the network is trained on", min=2, advanced=True)
    sigma_small: bool = option(
        True, "sample with the posterior variance; False: with beta, its upper bound", advanced=True
    )
