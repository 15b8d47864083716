"""The one constructor of denoisers: every architecture takes (x [B, T, F], step [B], condition) and gives [B, T, F]."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from model.options import PLAN_WIDTH, WORDS, ModelOptions
from utils.run.errors import UsageError

Weights = dict[str, Tensor]


def build_denoiser(
    options: ModelOptions, features: int, num_actions: int = 0, text_width: int = 0, encoder_hides: bool = True
) -> nn.Module:
    """A denoiser of `features` numbers a frame.

    `num_actions` 0 and `text_width` 0 are a model that is told neither. `encoder_hides`: trans_enc hides padded frames
    whatever --mask_frames says, as the published models of 2D motion do, those of 3D motion do not.
    Raises UsageError for sizes and conditions that do not go together.
    """
    sizes = ("latent_dim", "layers", "num_heads", "ff_size")
    size = {name: getattr(options, name) for name in sizes} | {"num_actions": num_actions, "text_width": text_width}
    if options.arch == "dit":
        from model.denoisers.conditions import GoalEncoder
        from model.denoisers.dit import DiT

        encoder = (options.multi_encoder_type, options.latent_dim, options.target_enc_layers)
        goals = GoalEncoder(*encoder) if options.multi_target_cond else None
        if options.word_layers and text_width and options.text_encoder_type not in WORDS:
            raise UsageError(f"--word_layers: {options.text_encoder_type} gives no words; choose {' or '.join(WORDS)}")
        taken = ("frames_per_token", "smooth_width", "word_layers", "text_limit")
        tokens = {name: getattr(options, name) for name in taken}
        tokens |= {"context": options.context_len, "plan_width": PLAN_WIDTH if options.plan else 0}
        return DiT(features, **size, **tokens, goals=goals)
    from model.denoisers.sequence import SequenceDenoiser

    if text_width and options.text_encoder_type in WORDS and options.arch != "trans_dec":
        said = f"--text_encoder_type {options.text_encoder_type}"
        raise UsageError(f"{said}: --arch {options.arch} takes one vector a text; choose trans_dec")
    published = ("arch", "dropout", "activation", "emb_trans_dec", "recurrence", "emb_policy")
    return SequenceDenoiser(
        features=features,
        mask_frames=options.mask_frames or (encoder_hides and options.arch == "trans_enc"),
        goals=options.multi_encoder_type if options.multi_target_cond else "",
        goal_layers=options.target_enc_layers,
        **size,
        **{name: getattr(options, name) for name in published},
    )


def file_layout(options: ModelOptions) -> tuple[Callable[[Weights], Weights], Callable[[Weights], Weights]]:
    """Two functions on state dicts: to the names of a checkpoint file, and back (published names where published)."""
    if options.arch == "dit":
        return dict, dict
    from model.denoisers.published import from_published, to_published

    return partial(to_published, latent_dim=options.latent_dim, rows=options.pos_embed_max_len), from_published
