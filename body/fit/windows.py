"""The least squares of `body.fit.solver` for clips of any length, in little memory.

A step of a whole clip needs the blocks of all its frames at once. But frames far apart do not see each other: what is
asked of one reaches its neighbours damped, e times less in some ten frames at most. So equations are set up and poses
eliminated in windows that overlap, and of each the inner frames are kept. What they ask of the shape, which is one for
the clip, is added up (Schur's complement), and the step is that of the whole clip.
"""

from collections.abc import Callable
from dataclasses import replace

import torch

from body.fit.solver import (
    ITERATIONS,
    TOLERANCE,
    Problem,
    State,
    cost_of,
    errors_of,
    moved,
    normal_equations,
    solve,
)
from utils.geometry.block_bands import eliminated
from utils.geometry.spans import SPAN, spans

_WHOLE = SPAN + SPAN // 2  # frames up to which a clip is solved at once
_WINDOW = SPAN // 2
_OVERLAP = 128  # frames on each side of a window that are solved and not kept


def stored(frames: int) -> torch.dtype:
    """The numbers in which rotations of so many frames are kept while they are solved."""
    return torch.float64 if frames <= _WHOLE else torch.float32


Part = Callable[[slice], Problem]


def solve_clip(problem_of: Part, state: State) -> tuple[State, int]:
    """The state at the minimum next to `state` for all its frames, and the number of steps taken, as `solve` has them.

    `problem_of` gives the problem of some neighbouring frames; its `precision` is that of the clip. Rotations are
    `stored`; clips of more than `_WHOLE` frames are solved in windows.
    """
    frames = len(state.root)
    if frames <= _WHOLE:
        return solve(problem_of(slice(0, frames)), state)
    cost, damping = _cost(problem_of, state), 1e-4
    for count in range(ITERATIONS):
        for _ in range(8):
            trial = _stepped(problem_of, state, damping)
            left = _cost(problem_of, trial)
            if left <= cost:
                break
            damping = max(damping, 1e-4) * 10
        else:
            return state, count
        done = cost - left <= TOLERANCE * cost
        state, cost, damping = trial, left, max(damping / 10, 1e-9)
        if done:
            return state, count + 1
    return state, ITERATIONS


def _cost(problem_of: Part, state: State) -> float:
    frames, total = len(state.root), 0.0
    for inner in spans(frames):
        problem, part = _some(problem_of, state, slice(inner.start, min(inner.stop + 1, frames)))
        total += cost_of(problem, part, errors_of(problem, part), slice(0, inner.stop - inner.start))
    return total + float((problem_of(slice(0, 2)).precision * state.shape**2).sum())


def _stepped(problem_of: Part, state: State, damping: float) -> State:
    """The state after a damped step."""
    frames, precision = len(state.root), problem_of(slice(0, 2)).precision
    corner, right = torch.diag(precision), -precision * state.shape
    followed = torch.zeros_like(corner)
    size = 3 + 3 * len(problem_of(slice(0, 2)).moving)
    poses, by_shape = torch.empty(frames, size), torch.empty(frames, size, len(precision))
    for inner in spans(frames, _WINDOW):
        around = slice(max(inner.start - _OVERLAP, 0), min(inner.stop + _OVERLAP, frames))
        kept = slice(inner.start - around.start, inner.stop - around.start)
        problem, part = _some(problem_of, state, around)
        blocks, neighbours, border, more, gradient, of_shape = normal_equations(
            problem, part, errors_of(problem, part), counted=kept
        )
        values = eliminated(blocks, neighbours, torch.cat([gradient[..., None], border], -1), damping)[kept]
        asked = (border[kept].mT @ values).sum(0)
        corner, right, followed = corner + more, right + asked[:, 0] - of_shape, followed + asked[:, 1:]
        poses[inner], by_shape[inner] = values[..., 0], values[..., 1:]
    shape = torch.linalg.solve(corner + torch.diag(damping * corner.diagonal()) - followed, right)
    rotations, root = torch.empty_like(state.rotations), torch.empty_like(state.root)
    for inner in spans(frames):
        problem, part = _some(problem_of, state, inner)
        after = moved(problem, part, -poses[inner].double() - by_shape[inner].double() @ shape, shape)
        rotations[inner], root[inner] = after.rotations, after.root
    return State(rotations, root, state.shape + shape)


def _some(problem_of: Part, state: State, span: slice) -> tuple[Problem, State]:
    """The problem and the state of some neighbouring frames, without what holds the shape."""
    problem = problem_of(span)
    problem = replace(problem, precision=torch.zeros_like(problem.precision))
    return problem, State(state.rotations[span].double(), state.root[span], state.shape)
