"""What becomes of motions once they are sampled: the best of candidates, and feet that stay where they stand."""

from collections.abc import Callable
from dataclasses import replace

import torch

from body.motion.held_feet import hold_feet
from sample.choosing.candidates import Sampling, best_of, scores_of
from sample.common.samples import Samples, as_samples
from sample.common.session import Request, Session


def finished(session: Session, sample: Sampling, candidates: int, hold: bool) -> Callable[[Session, Request], Samples]:
    """`sample`, then the best of so many candidates, then `held` if so. Raises what loading an evaluator raises."""
    chosen = best_of(sample, candidates, scores_of(session)) if candidates > 1 else sample

    def finish(session: Session, request: Request) -> Samples:
        samples = as_samples(request, chosen(session, request))
        return held(session, samples) if hold else samples

    return finish


def held(session: Session, samples: Samples) -> Samples:
    """The samples with standing feet held (`body.motion.held_feet`); their features stay as they were sampled.

    Motion that is not finite, or of which something was given, stays as it is.
    """
    if samples.known is not None or not torch.isfinite(samples.features).all():
        return samples
    skeleton, joints = session.spec.skeleton, samples.joints(session)
    placed, turned = joints.clone(), torch.eye(3).to(joints).repeat(*joints.shape[:3], 1, 1)
    for row, length in enumerate(samples.lengths.tolist()):
        clip = (joints[row, :length] * skeleton.metres_per_unit).numpy()
        found = hold_feet(clip, session.spec.fps, skeleton)
        placed[row, :length] = torch.from_numpy(found.positions) / skeleton.metres_per_unit
        turned[row, :length] = torch.from_numpy(found.turned)
    return replace(samples, placed=placed, turned=turned)
