"""Cost of the nearest poses: the published shortlist by Euclidean distance and its ranking, against ours, exact.

Run by hand: `OMP_NUM_THREADS=1 python -m tests.benchmarks.poses --sources ../shared/data/cmu2.npz ...`. Without
sources the poses are made up. Queries are references with noise of the published levels. Published is the steps of
that program with an exact (flat) index in torch: 500 nearest of the 84 numbers, ranked by the geodesic distance. One
process, the ways taking turns, part by part of the queries; the cost is CPU time, and ours has its index in it.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data_loaders.poses.distances import geodesic
from data_loaders.poses.neighbours import build_index, distances_of, nearest
from data_loaders.poses.noise import KINDS, LEVELS, perturbed
from utils.formats.reading import read_motion
from utils.geometry.human import to_smpl22
from utils.geometry.rotations import axis_angle_to_quaternion, matrix_to_quaternion
from utils.run.errors import run_command
from utils.run.options import option, parse
from utils.run.randomness import torch_generator

SHORTLIST, K = 500, 5
WANTED = 3.0
_AT_ONCE, _RANKED = 1024, 128  # queries that are searched, and ranked, at a time


@dataclass(frozen=True)
class NeighbourOptions:
    """Size of the measurement."""

    sources: tuple[str, ...] = option(
        (), "packed shards, or other files of motion, that poses are taken from", many=True
    )
    references: int = option(100_000, "poses among which neighbours are sought", min=SHORTLIST)
    queries: int = option(20_000, "poses whose neighbours are sought", min=1)
    noise: str = option("published", "of the queries", KINDS)


def poses_of(options: NeighbourOptions) -> Tensor:
    """References [M, 21, 4]: of the sources, or made up: people whose joints move together in thirty ways."""
    if not options.sources:
        draws = torch_generator(0, "people")
        amount = torch.rand(21, generator=draws).repeat_interleave(3) ** 2  # some joints move much, many little
        ways = torch.randn(30, 63, generator=draws) * 0.1 * amount
        middle = torch.randn(1, 63, generator=draws) * 0.2
        turns = middle + torch.randn(options.references, 30, generator=draws) @ ways
        return axis_angle_to_quaternion(turns.view(-1, 21, 3))
    found = []
    for motion in (each for path in options.sources for each in read_motion(Path(path))):
        if (rotations := to_smpl22(motion).rotations) is not None:
            found.append(matrix_to_quaternion(torch.from_numpy(rotations[:, 1:])).float())
    poses = torch.cat(found)
    chosen = torch.randperm(len(poses), generator=torch_generator(0, "references"))[: options.references]
    return poses[chosen.sort()[0]]


def published(queries: Tensor, references: Tensor) -> Tensor:
    """Distances [N, 5] by a shortlist of 500."""
    flat, found = references.flatten(1), []
    squares = (flat * flat).sum(1)
    for some in queries.split(_AT_ONCE):
        apart = torch.addmm(squares[None], some.flatten(1), flat.T, alpha=-2)
        listed = apart.topk(SHORTLIST, 1, largest=False)[1]
        for part, near in zip(some.split(_RANKED), listed.split(_RANKED), strict=True):
            found.append(geodesic(part[:, None], references[near]).topk(K, 1, largest=False)[0])
    return torch.cat(found)


def timed(way: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """What one call returned and its CPU seconds."""
    start = time.process_time()
    found = way()
    return found, time.process_time() - start


def main(argv: list[str]) -> None:
    """Print what both ways cost, their ratio, and how often the shortlist misses."""
    (options,) = parse("tests.benchmarks.poses", __doc__ or "", (NeighbourOptions,), argv)
    references = poses_of(options)
    rows = np.arange(options.queries)
    levels = torch.tensor(LEVELS[1:])[torch.from_numpy(rows) % (len(LEVELS) - 1)]
    sources = references[torch.randint(len(references), (options.queries,), generator=torch_generator(0, "queries"))]
    queries = perturbed(sources, levels, options.noise, rows, 0)
    start = time.process_time()
    index = build_index(references)
    ours, theirs, missed = time.process_time() - start, 0.0, 0.0
    for part in queries.split(2 * _AT_ONCE):
        old, cost = timed(lambda part=part: published(part, references))
        theirs += cost
        numbers, cost = timed(lambda part=part: nearest(part, index, K))
        ours += cost
        exact = distances_of(part, references[numbers])
        assert (exact <= old + 1e-6).all(), "the exact neighbours are no further than those of the shortlist"
        missed += float((old > exact + 1e-6).float().sum())
    threads = os.environ.get("OMP_NUM_THREADS", "as torch finds them")
    print(f"{len(queries)} queries ({options.noise} noise) among {len(references)} poses, threads: {threads}")
    print(
        f"published {theirs:.1f} s, {missed / len(queries) / K:.2%} of its distances too long; ours {ours:.1f} s, exact"
    )
    print(f"ratio {theirs / ours:.1f} (wanted {WANTED:g})")


if __name__ == "__main__":
    run_command(main)
