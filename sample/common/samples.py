"""Sampled motions and what is said of them; and requests sampled in parts, so that what is there can be drawn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from sample.common.session import Request, Session
from utils.run.progress import part_of

PART = 32  # motions that are sampled at once where they may be sampled apart
Title = str | Sequence[str]


@dataclass(frozen=True)
class Chosen:
    """Which of its candidates each motion is, and how well each candidate fits its sentence.

    `taken` [B]; `scores` [B, K] of each of K candidates by who scores them, and the `total` [B, K] that decided.
    """

    taken: Tensor
    total: Tensor
    scores: Mapping[str, Tensor]


@dataclass(frozen=True)
class Samples:
    """Sampled motions and what is said of them.

    `features` [B, T, F], or points [B, T, J, 2 or 3] in the frame of a camera, are in data units; `lengths` [B]; a
    title for each motion, or one a frame. `known` [B, T, J] is true where a joint was not sampled but given; `placed`
    [B, T, J, 3] are joints in the world, where the features alone do not say it, which may be `rotated` [B] about y
    against them. `inputs` are the motions that were edited, one a sample: joints [T, J, 3] in the world and a title.
    `condition` is that of the request, `data` the motions whose lengths it took. `chosen`: of candidates. `turned`
    [B, T, J, 3, 3]: `placed` are the joints of the features with feet held (`finishing`), and in the world the bone
    that ends at each joint is turned by that.
    """

    features: Tensor
    lengths: Tensor
    titles: Sequence[Title]
    known: Tensor | None = None
    placed: Tensor | None = None
    rotated: Tensor | None = None
    inputs: Sequence[tuple[Tensor, str]] = ()
    condition: Mapping[str, Tensor] = field(default_factory=dict)
    data: Mapping[str, Tensor] | None = None
    chosen: Chosen | None = None
    turned: Tensor | None = None

    def joints(self, session: Session) -> Tensor:
        """Right-handed joints [B, T, J, 3] in the world."""
        return session.joints(self.features) if self.placed is None else self.placed


def samples_of(request: Request, features: Tensor) -> Samples:
    """What was requested, sampled."""
    return Samples(features, request.lengths, request.titles, condition=request.condition, data=request.inputs)


def put_together(parts: Sequence[Samples]) -> Samples:
    """The parts of a request as one."""
    if len(parts) == 1:
        return parts[0]
    return Samples(
        torch.cat([part.features for part in parts]),
        torch.cat([part.lengths for part in parts]),
        [title for part in parts for title in part.titles],
        condition={name: torch.cat([part.condition[name] for part in parts]) for name in parts[0].condition},
        placed=_all_of([part.placed for part in parts]),
        chosen=_all_chosen([part.chosen for part in parts if part.chosen]),
        turned=_all_of([part.turned for part in parts]),
    )


def _all_of(parts: Sequence[Tensor | None]) -> Tensor | None:
    """The tensors of all parts, of which each has one, or none has."""
    there = [part for part in parts if part is not None]
    return torch.cat(there) if there else None


def _all_chosen(parts: Sequence[Chosen]) -> Chosen | None:
    """The choices of all parts, of which each has one, or none has."""
    if not parts:
        return None
    return Chosen(
        torch.cat([part.taken for part in parts]),
        torch.cat([part.total for part in parts]),
        {name: torch.cat([part.scores[name] for part in parts]) for name in parts[0].scores},
    )


def sampled_in_parts(
    session: Session,
    request: Request,
    sample: Callable[[Session, Request], Tensor | Samples],
    independent: bool = True,
) -> Iterator[Samples]:
    """`sample` the request, part after part as the next is asked for where its motions are `independent`, else whole.

    The session's callback is that of the whole.
    """
    parts = [request]
    if independent and apart(session, request):
        rows = range(0, len(request.lengths), PART)
        parts = [request.part(slice(first, first + PART)) for first in rows]
    for number, part in enumerate(parts):
        yield as_samples(part, sample(replace(session, callback=part_of(session.callback, number, len(parts))), part))


def as_samples(request: Request, found: Tensor | Samples) -> Samples:
    """What sampling a request gave."""
    return found if isinstance(found, Samples) else samples_of(request, found)


def apart(session: Session, request: Request) -> bool:
    """Whether the network and the noise let the motions of a request be sampled apart, and they are the same then."""
    model = session.model_options
    together = model.over_batch or session.compat.global_draws or request.segments or request.inputs
    return not together and bool((request.lengths == request.frames).all())


def caption(title: Title) -> str:
    """A title, or titles of frames one after another."""
    return title if isinstance(title, str) else ", ".join(dict.fromkeys(title))
