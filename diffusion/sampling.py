"""The one sampling loop. What must hold is `project`, where noise comes from is inside `step`.

    for t in steps:
        x0 = project(denoise(x, t), t)
        x  = step(x0, x, t)

All generation of the project runs through here: plain, edited, and multi-view (MAS), whose 3D motion is what
`project` makes all views agree on.
"""

from collections.abc import Callable

from torch import Tensor

from utils.run.progress import Callback, ignored


def sample(
    denoise: Callable[[Tensor, int], Tensor],
    step: Callable[[Tensor, Tensor, int], Tensor],
    x: Tensor,
    steps: int,
    last: int = 1,
    project: Callable[[Tensor, int], Tensor] = lambda x0, _: x0,
    callback: Callback = ignored,
) -> Tensor:
    """Denoise `x` (pure noise, any shape) from step `steps` - 1 down to `last` and return the final estimate of x_0.

    `denoise(x, t)` estimates x_0; `project(x0, t)` puts right what is known about it; `step(x0, x, t)` gives
    x_{t-1}. The published programs stop at 1, whose x_0 is the result (the step after it would be unused).
    `callback(done, total)` is called after each estimate.
    """
    for t in range(steps - 1, last - 1, -1):
        x0 = project(denoise(x, t), t)
        callback(steps - t, steps - last)
        if t == last:
            return x0
        x = step(x0, x, t)
    return x
