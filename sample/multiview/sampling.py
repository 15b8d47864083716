"""3D motion from the 2D model: multi-view ancestral sampling (MAS, Kapon et al. 2023), its ablations and its rival.

All views of a figure are denoised together; at each step one 3D motion is fitted to them and shown in each again.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from data_loaders.points.projections import camera_of
from diffusion.distillation import distill
from diffusion.noise import Noise, seen_from
from diffusion.process import Process
from diffusion.projectors import AdamFit, MultiView, prominent_weights, scaled_snr
from diffusion.sampling import sample
from diffusion.windows import joined
from sample.common.draws import Draws
from sample.common.session import Request, Session
from sample.editing.end_constraint import eased, fading
from sample.options import MasOptions
from utils.geometry.cameras import even_views, fit_points, orthographic, view_rotations
from utils.geometry.kinematics import rigid_bones, walk
from utils.run.errors import UsageError

# Motion [B, T, J, 3] in the camera frame, and where [B, T, J] it is known.
Known = tuple[Tensor, Tensor]


def sample_3d(
    session: Session,
    request: Request,
    options: MasOptions,
    variant: str = "mas",
    draws: Draws | None = None,
    known: Known | None = None,
) -> Tensor:
    """3D motions [B, T, J, 3] by MAS or one of its ablations, camera frame; frames beyond a length are 0 by default.

    `known` are joints of other motions that stay where they are (not in a distillation).
    """
    distilling = variant.startswith("dreamfusion")
    draws = draws or session.compat.view_draws(session, request, options.num_views, distilling)
    if distilling:
        points = _distilled(session, request, options, variant, draws)
    else:
        points = _ancestral(session, request, options, variant, draws, known)
    if known and options.bones == "rigid":
        points = hung_on(points, *known, session.spec.skeleton.parents)
    elif options.bones == "rigid":
        points = rigid_bones(points, session.spec.skeleton, request.lengths)
    return points * request.valid[:, :, None, None] if session.compat.pads else points


def independent(options: MasOptions, variant: str = "mas") -> bool:
    """Whether the motions of a request do not depend on each other, so that they may be sampled apart."""
    return options.fit == "closed_form" and not variant.startswith("dreamfusion")


def view_denoiser(session: Session, request: Request, views: int) -> Callable[[Tensor, int], Tensor]:
    """The denoiser of all views [V * B, T, J, 2]; segments, of several prompts, are joined in each view."""
    segments, samples = request.segments, len(request.lengths)
    if segments is None:
        return session.denoiser(request, views)

    def seen(rows: Tensor) -> Tensor:
        # Segments lead, then come the views: what is cut into segments are motions whose views lead.
        return rows.unflatten(0, (-1, samples)).repeat(1, views, *(1,) * (rows.dim() - 1)).flatten(0, 1)

    condition = {name: seen(rows) for name, rows in segments.condition.items()}
    denoise = session.denoiser(Request(seen(segments.lengths), condition))
    return joined(denoise, segments.lengths[::samples].tolist(), request.overlap)


def around(fit: Callable[..., Tensor], motion: Tensor, mask: Tensor, lengths: Tensor) -> Callable[..., Tensor]:
    """The fit, nearing `motion` [B, T, J, 3] beside frames that `mask` [B, T, J] holds whole."""
    fade = fading(mask.all(-1), lengths)
    return lambda *seen: eased(fit(*seen), motion, fade)


def hung_on(points: Tensor, motion: Tensor, mask: Tensor, parents: Sequence[int]) -> Tensor:
    """Points [B, T, J, 3] with the joints of `motion` where `mask` [B, T, J] is true, and the others hung on them.

    Bones keep their directions and are as long as those of `motion` in the same frame.
    """
    start = [max(parent, 0) for parent in parents]
    bones, measure = points - points[:, :, start], torch.linalg.vector_norm(motion - motion[:, :, start], dim=-1)
    bones = normalize(bones, dim=-1) * measure[..., None]
    placed: dict[int, Tensor] = {}
    for joint in walk(parents):
        free = points[:, :, joint] if parents[joint] < 0 else placed[parents[joint]] + bones[:, :, joint]
        placed[joint] = torch.where(mask[:, :, joint, None], motion[:, :, joint], free)
    return torch.stack([placed[joint] for joint in range(len(parents))], 2)


def _ancestral(
    session: Session, request: Request, options: MasOptions, variant: str, draws: Draws, known: Known | None
) -> Tensor:
    """MAS and its ablations."""
    spec, process, count = session.spec, session.process, options.num_views
    wandering = variant == "random_angles"
    if wandering and session.sampling.sampler != "ddpm":
        raise UsageError("--ablation_name random_angles replays ancestral steps: it needs --sampler ddpm")

    def fresh_views() -> Tensor:
        return even_views(count, spec.elevation, draws.offset() if wandering else 0.0)

    views = fresh_views()
    weights = prominent_weights(count, draws.prominent()) if variant.startswith("prominent") else None
    start = torch.zeros(len(request.lengths), request.frames, len(spec.skeleton.joints), 3)
    fit = AdamFit(start.shape) if options.fit == "adam" else fit_points
    together = MultiView(
        views, camera_of(spec), start, session.to_data, session.to_model, weights,
        fit=fit if known is None else around(fit, *known, request.lengths),
        pinned_root=spec.pinned_root if session.compat.pins_root else -1,
        valid=request.valid if session.compat.pads else None,
        known=known[0] if known else None, known_mask=known[1] if known else None,
    )  # fmt: skip
    noise = draws.noise_2d if variant.endswith("no_3d_noise") else seen_from(draws.noise_3d, lambda: together.views)
    if wandering:
        first = draws.noise_3d()
        x, step = (
            orthographic(first, views).flatten(0, 1),
            replayed(together, process, first, draws.noise_3d, fresh_views),
        )
    else:
        x, step = noise(), session.stepper(noise)
    denoise = view_denoiser(session, request, count)
    if options.snr_scale != 1:
        denoise = scaled_snr(denoise, process, options.snr_scale)
    sample(denoise, step, x, process.steps, process.last, together, session.callback)
    return together.points


def replayed(
    together: MultiView, process: Process, first: Tensor, noise_3d: Noise, fresh_views: Callable[[], Tensor]
) -> Callable[[Tensor, Tensor, int], Tensor]:
    """A step that rebuilds x_{t-1} from the start as seen from new views: the ablation `random_angles`.

    The noise of all steps adds up to one 3D noise, seen orthographically; the 3D motions of all steps are projected
    anew, for perspective does not add up.
    """
    noise = first
    passed: list[tuple[int, Tensor]] = []

    def step(_: Tensor, x: Tensor, t: int) -> Tensor:
        nonlocal noise
        noise = float(process.posterior_xt[t]) * noise + math.sqrt(process.posterior_variance[t]) * noise_3d()
        together.views = fresh_views()
        passed.append((t, together.points))
        signal = torch.zeros_like(x)
        for earlier, points in passed:
            signal = process.posterior_mean(together.projected(points), signal, earlier)
        return signal + orthographic(noise, together.views).flatten(0, 1)

    return step


def _distilled(session: Session, request: Request, options: MasOptions, variant: str, draws: Draws) -> Tensor:
    """DreamFusion-style optimisation from fresh views."""
    spec = session.spec
    start = torch.zeros(len(request.lengths), request.frames, len(spec.skeleton.joints), 3)

    def fresh_views() -> Tensor:
        azimuth = torch.from_numpy(draws.azimuths()).float()
        return view_rotations(azimuth, torch.full_like(azimuth, spec.elevation))

    schedule = draws.timesteps(variant == "dreamfusion_annealed")
    points = distill(
        view_denoiser(session, request, options.num_views), session.process, schedule, fresh_views, draws.noise_2d,
        camera_of(spec), start, session.to_data, session.to_model, session.callback,
    )  # fmt: skip
    if spec.pinned_root >= 0 and session.compat.pins_root:
        points = points - points[:, :, spec.pinned_root, None]
    return points
