"""The flags of the network."""

from dataclasses import dataclass

from utils.run.options import option

ARCHITECTURES = ("trans_enc", "trans_dec", "gru", "dit")


@dataclass(frozen=True)
class ModelOptions:
    """Architecture and size of the denoiser."""

    arch: str = option("trans_enc", "trans_enc, trans_dec and gru are the published ones", ARCHITECTURES)
    emb_trans_dec: bool = option(False, "trans_dec: the step token also leads the sequence")
    layers: int = option(8, "number of layers", least=1)
    latent_dim: int = option(512, "width of the network", least=2)
    num_heads: int = option(4, "attention heads", least=1)
    dropout: float = option(0.1, "share of activations dropped in training (dit: none)", least=0, most=1)
    activation: str = option("gelu", "of the feed-forward layers", ("gelu", "relu"))
    ff_size: int = option(1024, "width of the feed-forward layers", least=1)
    cond_mask_prob: float = option(
        0.1, "share of training samples whose condition is hidden, for guidance", least=0, most=1
    )
    frames_per_token: int = option(4, "dit: frames that share a token", least=1)
    recurrence: str = option("time", "gru: what it recurs over", ("time", "batch"), saved_default="batch")
    padding: str = option(
        "masked", "trans_dec: whether padded frames are seen", ("masked", "attended"), saved_default="attended"
    )
