"""Cost of the figures of sets of embeddings: the published ways, in Python loops and scipy, against ours.

Run by hand: `OMP_NUM_THREADS=1 python -m tests.benchmarks.metrics [-h]`. Both ways get the same made-up embeddings, and
what they return is compared. One process, the ways taking turns; the cost is CPU time, which a busy machine disturbs
less than the clock on the wall; medians over the runs, but the double loop of precision and recall is run once. The
published Fréchet distance is measured where scipy is installed (it is no dependency), and so is its `sqrtm` alone.
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from eval.metrics import distances as metrics
from utils.run.errors import run_command
from utils.run.options import option, parse
from utils.run.randomness import numpy_rng

Array = np.ndarray
Cost = tuple[float, float]  # CPU and wall milliseconds
K = metrics.NEIGHBOURS
WANTED = {"precision and recall": 20.0, "Fréchet distance": 10.0}


@dataclass(frozen=True)
class MetricOptions:
    """Size of the measurement."""

    runs: int = option(9, "measurements of each way", min=1)
    samples: int = option(1024, "embeddings of a set", min=8)
    width: int = option(256, "numbers of an embedding", min=1)
    subsets: int = option(20, "subsets of KID", min=1)
    subset_size: int = option(1000, "samples of a subset of KID, no more than --samples", min=2)


def sets(size: MetricOptions) -> tuple[Array, Array]:
    """Generated and real embeddings [N, D]: normal, the generated ones a little narrower and beside the real ones."""
    generated, real = (numpy_rng(0, name).normal(size=(size.samples, size.width)) for name in ("generated", "real"))
    return 0.9 * generated + 0.05, real


def double_loop(points: Array, reference: Array) -> float:
    """The share of points in a ball of the reference, point by point, with the steps of the published program."""
    radii = []
    for centre in reference:
        distances = np.zeros(len(reference))
        for i, other in enumerate(reference):
            distances[i] = np.linalg.norm(centre - other)
        radii.append(np.partition(distances, K)[K])
    count = 0
    for point in points:
        for centre, radius in zip(reference, radii, strict=True):
            if np.linalg.norm(point - centre) <= radius:
                count += 1
                break
    return count / len(points)


def published_frechet(moments: tuple[Array, Array, Array, Array]) -> float:
    """|m1 - m2|^2 + tr C1 + tr C2 - 2 tr sqrtm(C1 C2) with scipy."""
    mean1, cov1, mean2, cov2 = moments
    apart = mean1 - mean2
    return float(np.real(apart @ apart + np.trace(cov1) + np.trace(cov2) - 2 * np.trace(scipy_root(cov1, cov2))))


def scipy_root(cov1: Array, cov2: Array) -> Array:
    """The root of the product alone."""
    from scipy.linalg import sqrtm  # pyright: ignore[reportMissingImports]

    return sqrtm(cov1.dot(cov2))


def published_kid(generated: Array, real: Array, size: MetricOptions) -> float:
    """Kernel matrices of each subset by itself."""
    rng, found = numpy_rng(0, "kid"), []
    chosen = [metrics.draw_subsets(len(x), size.subsets, size.subset_size, rng) > 0 for x in (generated, real)]
    for of_generated, of_real in zip(*chosen, strict=True):
        x, y = generated[of_generated], real[of_real]
        within = 0.0
        for each in (x, y):
            kernel = (each @ each.T / size.width + 1) ** 3
            within += (kernel.sum() - np.trace(kernel)) / (len(each) * (len(each) - 1))
        found.append(within - 2 * ((x @ y.T / size.width + 1) ** 3).mean())
    return float(np.mean(found))


def cost_of(way: Callable[[], float]) -> tuple[Cost, float]:
    """What one call took and returned."""
    cpu, wall = time.process_time(), time.perf_counter()
    value = way()
    return ((time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000), value


def medians(ways: dict[str, Callable[[], float]], runs: int) -> dict[str, tuple[Cost, float]]:
    """Median costs and values of ways that take turns; the first turn is not counted."""
    rounds = [{name: cost_of(way) for name, way in ways.items()} for _ in range(runs + 1)][1:]
    return {
        name: ((statistics.median(r[name][0][0] for r in rounds), statistics.median(r[name][0][1] for r in rounds)),
               rounds[0][name][1])
        for name in ways
    }  # fmt: skip


def measure(size: MetricOptions) -> dict[str, tuple[Cost, float]]:
    """Cost and value of each figure by name, `<name>, published` being the other way."""
    generated, real = sets(size)
    moments = (*metrics.gaussian(generated), *metrics.gaussian(real))
    ways: dict[str, Callable[[], float]] = {
        "precision and recall": lambda: sum(metrics.precision_recall(generated, real)),
        "Fréchet distance": lambda: metrics.frechet_of(*moments),
        "KID": lambda: metrics.kid(generated, real, numpy_rng(0, "kid"), size.subsets, size.subset_size),
        "KID, published": lambda: published_kid(generated, real, size),
    }
    if find_spec("scipy"):
        ways["Fréchet distance, published"] = lambda: published_frechet(moments)
        ways["Fréchet distance, sqrtm alone"] = lambda: float(np.real(np.trace(scipy_root(moments[1], moments[3]))))
    found = medians(ways, size.runs)
    loop = cost_of(lambda: double_loop(generated, real) + double_loop(real, generated))
    return found | {"precision and recall, published": loop}


def main(argv: list[str]) -> None:
    """Print what each figure costs both ways, the ratio, and how far apart the values are."""
    purpose = "Time the figures of sets of embeddings against the published programs."
    (size,) = parse("tests.benchmarks.metrics", purpose, (MetricOptions,), argv)
    found, threads = measure(size), os.environ.get("OMP_NUM_THREADS", "as numpy finds them")
    print(f"{size.samples} x {size.samples} x {size.width}, medians of {size.runs} runs, threads: {threads}; ms")
    print("way                                     CPU       wall   published / ours (by the wall)   wanted   apart by")
    for name, ((cpu, wall), value) in found.items():
        ours = name.split(",")[0]
        row = f"{name:32s} {cpu:10.2f} {wall:10.2f}"
        if name != ours:
            (own, own_wall), expected = found[ours]
            wanted = f"{WANTED[ours]:.0f}" if ours in WANTED else "-"
            apart = "-" if name.endswith("alone") else f"{abs(value - expected) / abs(value):.1e}"
            row += f"   {cpu / own:12.1f} ({wall / own_wall:.1f}) {wanted:>20s} {apart:>10s}"
        print(row)
    if not find_spec("scipy"):
        print("Fréchet distance, published: scipy is not installed")


if __name__ == "__main__":
    run_command(main)
