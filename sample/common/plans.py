"""Plans of sentences: what shall be done when, for models that are told that.

A trained planner writes several plans of a sentence; the one is taken that fits best what the sentence tells by its
words (`captioner.told`), of equals the likeliest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data_loaders.captioner.corrected import corrected
from data_loaders.captioner.phases import Phase
from data_loaders.captioner.plans import WIDTH, plan_of
from data_loaders.captioner.symbols import MOST, SIZES, phases_from
from data_loaders.captioner.told import fit, told
from model.options import PlannerOptions
from model.text.encoders import TextEncoder
from model.text.planner import Planner
from utils.run import checkpoint
from utils.run.errors import DataError
from utils.run.files import read_json
from utils.run.randomness import torch_generator

PLANS, TEMPERATURE = 24, 0.7  # plans of a sentence, of which one is taken


@dataclass(frozen=True)
class SentencePlanner:
    """A trained planner with the encoder of the words that it reads."""

    network: Planner
    encode: TextEncoder

    def __call__(
        self, texts: Sequence[str], seconds: Sequence[float], seed: int, first: int = 0
    ) -> list[tuple[Phase, ...]]:
        """The phases of a plan of each sentence, for motion of so many seconds; the i-th draws by (seed, first + i)."""
        if not texts:
            return []
        vectors, visible = self.encode(texts)
        shape = (PLANS, MOST + 1, len(SIZES))
        draws = torch.cat(
            [torch.rand(shape, generator=torch_generator(seed, "plan", first + i)) for i in range(len(texts))]
        )
        lengths = torch.tensor(seconds, dtype=torch.float32)
        words, real, asked = (value.repeat_interleave(PLANS, 0) for value in (vectors, visible, lengths))
        rows, likely = self.network.sample(words, real, asked, draws, TEMPERATURE)
        written = zip(
            texts, seconds, rows.unflatten(0, (-1, PLANS)).numpy(), likely.view(-1, PLANS).tolist(), strict=True
        )
        return [_best(*plans) for plans in written]


def _best(text: str, seconds: float, rows: np.ndarray, likely: Sequence[float]) -> tuple[Phase, ...]:
    """The plan, of rows [K, N, 8], that fits a sentence best."""
    steps = told(text)
    plans = [corrected(steps, phases_from(each, seconds)) for each in rows]
    return max(zip(plans, likely, strict=True), key=lambda plan: (round(fit(steps, plan[0]), 3), plan[1]))[0]


def load_planner(path: str, encode: TextEncoder) -> SentencePlanner:
    """The planner of a checkpoint, or of a folder's newest. Raises MissingFileError or DataError."""
    file = checkpoint.resolve(path)
    content, args = checkpoint.load(file), read_json(Path(file).parent / "args.json")
    options = PlannerOptions(**{name: args[name] for name in PlannerOptions.__dataclass_fields__ if name in args})
    network = Planner(options, encode.width, tuple(SIZES.values()))
    try:
        network.load_state_dict(checkpoint.weights(content))
    except RuntimeError as error:
        raise DataError(f"{file} is no planner: {str(error).strip().splitlines()[-1].strip()[:160]}") from error
    return SentencePlanner(network.eval(), encode)


def as_condition(
    plans: Sequence[Sequence[Phase]], frames: Sequence[int], fps: float, starts: Sequence[float] = ()
) -> Tensor:
    """Plans as a denoiser is told them [B, T, P], zeros after each end; each from `starts` seconds (0) on."""
    condition = torch.zeros(len(plans), max(frames), WIDTH)
    for row, phases, count, start in zip(condition, plans, frames, starts or [0.0] * len(plans), strict=True):
        row[:count] = torch.from_numpy(plan_of(phases, count, fps, start))
    return condition
