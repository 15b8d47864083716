"""Figures that compare sets of embeddings, as the literature defines them. Pure numpy, float64 inside.

An embedding is a row: sets are [N, D]. Distances are Euclidean, in the units of the embedding, which has none of its
own: metrics of two different encoders do not compare. Draws are made apart from what is done with them, so a metric
with given pairs is a plain formula. Every function raises DataError for too few samples (naming the number needed),
for sets that do not fit together and for values that are not finite; none returns NaN.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from utils.run.errors import DataError

NEIGHBOURS = 3  # whose distance is the radius of a point's ball
BATCH = 32  # of R-precision: a motion's own sentence among 31 others
PAIRS = 200  # of diversity, at most
KERNEL_SUBSETS, KERNEL_SIZE = 100, 1000
CONFIDENCE = 1.96  # standard errors to each side of a mean that hold 95 % of a normal distribution
_ROWS = 2048  # of a distance matrix held at once
_SMALL = 1e-12  # of the largest eigenvalue: below it roots lose too many digits
_ROUNDING = 1e-12  # share of the squared lengths by which squared distances may be wrong, from matrix products

Array = np.ndarray
Pairs = tuple[Array, Array]


def gaussian(x: Array) -> tuple[Array, Array]:
    """Mean [D] and unbiased covariance [D, D] of embeddings [N, D]; DataError for fewer than 2."""
    x = _embeddings(x, "a covariance", 2)
    return x.mean(0), np.atleast_2d(np.cov(x, rowvar=False))


def frechet_distance(generated: Array, real: Array) -> float:
    """Fréchet distance (FID) of the Gaussians of two sets [N, D] and [M, D], in squared units of the embedding.

    Heusel et al. 2017, equation 6. 0 or more; symmetric. Raises DataError for fewer than 2 samples in a set.
    """
    _same_width(generated, real)
    return frechet_of(*gaussian(generated), *gaussian(real))


def frechet_of(mean1: Array, cov1: Array, mean2: Array, cov2: Array) -> float:
    """Squared Fréchet distance of two Gaussians: |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1^(1/2) C2 C1^(1/2))^(1/2).

    Means [D], covariances [D, D], singular ones too. The last trace comes from symmetric eigen-decompositions: no root
    of a matrix that is not symmetric, hence no imaginary part and nothing added to the diagonals.
    """
    moments = [np.asarray(each, np.float64) for each in (mean1, cov1, mean2, cov2)]
    size = moments[0].size
    if [each.shape for each in moments] != [(size,), (size, size)] * 2:
        raise DataError(f"Gaussians of sizes {', '.join(str(each.shape) for each in moments)} do not fit together")
    if not all(np.isfinite(each).all() for each in moments):
        raise DataError("a mean or a covariance holds NaN or infinity: the Fréchet distance needs finite numbers")
    overlap = _trace_of_root(moments[1], moments[3])
    apart = np.square(moments[0] - moments[2]).sum()
    return max(0.0, float(apart + np.trace(moments[1]) + np.trace(moments[3]) - 2 * overlap))


def draw_pairs(count: int, pairs: int, rng: np.random.RandomState, repeat: bool = False) -> Pairs:
    """Indices (first [P], second [P]) of pairs among `count` samples.

    No index comes twice on one side (Guo et al. 2022, and MAS); with `repeat` it may (Guo et al. 2020, actions). A
    sample may be paired with itself, as published. Raises DataError for fewer samples than pairs, unless they repeat.
    """
    needed = 1 if repeat else pairs
    if count < needed or pairs < 1:
        raise DataError(f"{pairs} pairs need at least {max(needed, 1)} samples, and there are {count}")
    if repeat:
        return rng.randint(0, count, pairs), rng.randint(0, count, pairs)
    return rng.choice(count, pairs, replace=False), rng.choice(count, pairs, replace=False)


def diversity(x: Array, pairs: Pairs) -> float:
    """Mean distance of pairs of samples [N, D]; closest to that of real data is best. Guo et al. 2020, section 5.1."""
    return float(_pair_distances(_embeddings(x, "diversity", 2), pairs, "samples").mean())


def multimodality(x: Array, pairs: Pairs) -> float:
    """Mean distance of pairs among the repeats of one sentence, [C, R, D] for C sentences. Guo et al. 2022.

    The pairs are the same for every sentence (`draw_pairs(R, 10, rng)`). Raises DataError for fewer than 2 repeats.
    """
    x = np.asarray(x, np.float64)
    if x.ndim != 3 or x.shape[1] < 2 or not len(x):
        raise DataError(f"multimodality needs at least 2 repeats of 1 sentence, [C, R, D]; these are {list(x.shape)}")
    _finite(x, "multimodality")
    return float(_pair_distances(x.swapaxes(0, 1), pairs, "repeats").mean())


def draw_labelled_pairs(labels: Array, pairs: int, rng: np.random.RandomState) -> Pairs:
    """`pairs` pairs of samples of one label, drawn with repetition, for each label in `labels` [N] in rising order."""
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if not members:
        raise DataError("pairs of one label need at least 1 sample, and there are 0")
    drawn = [tuple(own[index] for index in draw_pairs(len(own), pairs, rng, repeat=True)) for own in members]
    first, second = (np.concatenate(side) for side in zip(*drawn, strict=True))
    return first, second


def labelled_multimodality(x: Array, labels: Array, pairs: Pairs, num_labels: int) -> float:
    """Mean over labels of the mean distance of pairs within the label; a label that has no pair counts as 0.

    x [N, D], labels [N] in 0 .. num_labels - 1. Guo et al. 2020; as published the sum is divided by all the labels,
    which lowers the metric where some were not generated.
    """
    x, labels = _embeddings(x, "multimodality", 2), _labels(labels, len(x), num_labels)
    distances = _pair_distances(x, pairs, "samples")
    own = labels[pairs[0]]
    if (own != labels[pairs[1]]).any():
        raise DataError("multimodality of labels was given a pair of two different labels")
    counts = np.bincount(own, minlength=num_labels)
    return float((np.bincount(own, distances, minlength=num_labels) / np.maximum(counts, 1)).mean())


def share_inside(points: Array, reference: Array, k: int = NEIGHBOURS) -> float:
    """Share of `points` [N, D] that lie in the ball of at least one `reference` point [N, D], its border included.

    The radius of a ball is the distance to the k-th nearest other reference point. The balls shrink with the number of
    points, hence DataError for sets of unequal number, and for k points or fewer.
    """
    points, reference = (_embeddings(each, "precision and recall", k + 1) for each in (points, reference))
    _equal_counts(points, reference, "precision and recall")
    _same_width(points, reference)
    radii = _ranked_distances(reference, reference, k)
    inside = [_in_a_ball(rows, reference, radii) for rows in _blocks(points)]
    return float(np.concatenate(inside).mean())


def precision_recall(generated: Array, real: Array, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Improved precision and recall, shares of 1, of two sets [N, D]. Kynkäänniemi et al. 2019, equation 2.

    Precision: the share of generated points in balls around real ones; recall: of real points in balls around generated
    ones. Raises DataError as `share_inside`.
    """
    return share_inside(generated, real, k), share_inside(real, generated, k)


def draw_subsets(count: int, subsets: int, size: int, rng: np.random.RandomState, repeat: bool = False) -> Array:
    """How often each of `count` samples is in each subset [S, N]; only with `repeat` more than once."""
    if size < 2 or subsets < 1:
        raise DataError(f"{subsets} subsets of {size} samples: at least 1 subset of 2 is needed")
    if count < size and not repeat:
        raise DataError(f"subsets of {size} need at least {size} samples, and there are {count}")
    drawn = (rng.choice(count, size, replace=repeat) for _ in range(subsets))
    return np.array([np.bincount(each, minlength=count) for each in drawn], np.float64)


def kid_of(generated: Array, real: Array, chosen_generated: Array, chosen_real: Array) -> Array:
    """Squared maximum mean discrepancies [S] of subsets of generated and real embeddings, drawn by `draw_subsets`.

    Kernel (x y / D + 1)^3, unbiased estimator: around 0, and as often below as above it, for equal distributions, if no
    sample is twice in a subset. Bińkowski et al. 2018, section 4 and equation 4. Raises DataError for fewer than 2.
    """
    generated, real = (_embeddings(each, "KID", 2) for each in (generated, real))
    _same_width(generated, real)
    between = _kernel_sums(generated, real, chosen_generated, chosen_real)
    of_pairs = chosen_generated.sum(1) * chosen_real.sum(1)
    return _within(generated, chosen_generated) + _within(real, chosen_real) - 2 * between / of_pairs


def kid(
    generated: Array, real: Array, rng: np.random.RandomState, subsets: int = KERNEL_SUBSETS, size: int = KERNEL_SIZE
) -> float:
    """Kernel distance (KID), without a unit: the mean of `kid_of` random subsets of `size` samples, none in one twice.

    The published program for actions draws with repetition where there are more samples than `size`, and so counts
    samples as neighbours of themselves, which raises the metric. Raises DataError for sets of fewer than `size`.
    """
    first, second = (draw_subsets(len(x), subsets, size, rng) for x in (generated, real))
    return float(kid_of(generated, real, first, second).mean())


def r_precision(text: Array, motion: Array, top: int = 3, batch: int = BATCH) -> Array:
    """Shares of 1, [top]: how often a sentence's own motion is among the 1, 2, .. nearest of its batch's motions.

    text [N, D] and motion [N, D] in pairs, consecutive batches of exactly `batch`. Guo et al. 2022, section 5. Motions
    at the same distance take places at random, in expectation: an encoder that tells nothing apart scores chance.
    Raises DataError unless N is a multiple of `batch`.
    """
    text, motion = _pairs_of_rows(text, motion, "R-precision", batch)
    if len(text) % batch:
        raise DataError(f"R-precision needs whole batches of {batch}, and there are {len(text)} samples")
    distances = np.concatenate(
        [
            np.linalg.norm(text[start : start + batch, None] - motion[None, start : start + batch], axis=-1)
            for start in range(0, len(text), batch)
        ]
    )
    own = distances[np.arange(len(text)), np.arange(len(text)) % batch, None]
    nearer, level = (distances < own).sum(1), (distances == own).sum(1)
    return np.clip((np.arange(1, top + 1) - nearer[:, None]) / level[:, None], 0, 1).mean(0)


def matching_score(text: Array, motion: Array) -> float:
    """Mean distance of a sentence [N, D] and its own motion [N, D]; lower is better. Guo et al. 2022 (MM-Dist)."""
    text, motion = _pairs_of_rows(text, motion, "the matching score", 1)
    return float(np.linalg.norm(text - motion, axis=1).mean())


def accuracy(logits: Array, labels: Array) -> float:
    """Share of 1 of the samples whose largest value of `logits` [N, L] is that of their label [N]."""
    logits = _embeddings(logits, "accuracy", 1)
    return float((logits.argmax(1) == _labels(labels, len(logits), logits.shape[1])).mean())


def nearest_distance(generated: Array, real: Array) -> Array:
    """Distance [N] of each generated sample [N, D] to the real one [M, D] that is nearest."""
    generated, real = (_embeddings(each, "the distance to the nearest", 1) for each in (generated, real))
    _same_width(generated, real)
    return _ranked_distances(generated, real, 0)


def interval(values: Array | Sequence[float]) -> tuple[float, float]:
    """Mean of values [n], one an iteration, and half the width of its 95 % interval, 1.96 population std / sqrt(n)."""
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not values.size:
        raise DataError(f"an interval needs at least 1 value, and there are {list(values.shape)}")
    _finite(values, "an interval")
    return float(values.mean()), float(CONFIDENCE * values.std() / np.sqrt(len(values)))


def _fid(generated: Array, real: Array, rng: np.random.RandomState) -> float:
    return frechet_distance(generated, real)


def _diversity(generated: Array, real: Array, rng: np.random.RandomState) -> float:
    return diversity(generated, draw_pairs(len(generated), max(1, min(len(generated) - 1, PAIRS)), rng))


def _precision(generated: Array, real: Array, rng: np.random.RandomState) -> float:
    return share_inside(generated, real)


def _recall(generated: Array, real: Array, rng: np.random.RandomState) -> float:
    return share_inside(real, generated)


def _kid(generated: Array, real: Array, rng: np.random.RandomState) -> float:
    """Of subsets of 1000, or of all where a set is smaller."""
    return kid(generated, real, rng, size=min(KERNEL_SIZE, len(generated), len(real)))


# The metrics of generated embeddings [N, D] beside real ones [N, D] that the table of 2D and 3D motion knows.
METRICS: dict[str, Callable[[Array, Array, np.random.RandomState], float]] = {
    "fid": _fid,
    "diversity": _diversity,
    "precision": _precision,
    "recall": _recall,
    "kid": _kid,
}


def _embeddings(x: Array, what: str, minimum: int) -> Array:
    """A set as finite float64 [N, D] of at least so many samples."""
    x = np.asarray(x, np.float64)
    if x.ndim != 2 or not x.shape[1]:
        raise DataError(f"{what}: embeddings are [samples, numbers], these are {list(x.shape)}")
    if len(x) < minimum:
        raise DataError(f"{what} needs at least {minimum} samples, and there are {len(x)}")
    _finite(x, what)
    return x


def _finite(x: Array, what: str) -> None:
    if not np.isfinite(x).all():
        rows = (~np.isfinite(x)).reshape(len(x), -1).any(1).sum()
        raise DataError(f"{what}: {rows} of {len(x)} samples hold NaN or infinity, and every value must be finite")


def _same_width(first: Array, second: Array) -> None:
    widths = [np.shape(each)[-1:] for each in (first, second)]
    if widths[0] != widths[1]:
        raise DataError(f"embeddings of {widths[0]} and {widths[1]} numbers come from two encoders: use one for both")


def _equal_counts(first: Array, second: Array, what: str) -> None:
    if len(first) != len(second):
        raise DataError(f"{what} needs sets of equal number, and these have {len(first)} and {len(second)} samples")


def _pairs_of_rows(text: Array, motion: Array, what: str, minimum: int) -> tuple[Array, Array]:
    text, motion = (_embeddings(each, what, minimum) for each in (text, motion))
    _equal_counts(text, motion, what)
    _same_width(text, motion)
    return text, motion


def _labels(labels: Array, count: int, num_labels: int) -> Array:
    labels = np.asarray(labels)
    if labels.shape != (count,) or labels.dtype.kind not in "iu" or not ((labels >= 0) & (labels < num_labels)).all():
        raise DataError(f"labels must be {count} whole numbers from 0 to {num_labels - 1}, one for each sample")
    return labels


def _pair_distances(x: Array, pairs: Pairs, what: str) -> Array:
    """Distances along the last axis of entries of the first axis, for pairs of indices."""
    first, second = (np.asarray(each) for each in pairs)
    if first.shape != second.shape or not first.size:
        raise DataError(f"pairs need two lists of equal length, and these have {first.size} and {second.size} indices")
    if min(first.min(), second.min()) < 0 or max(first.max(), second.max()) >= len(x):
        raise DataError(f"the pairs name up to {max(first.max(), second.max()) + 1} {what}, and there are {len(x)}")
    return np.linalg.norm(x[first] - x[second], axis=-1)


def _trace_of_root(first: Array, second: Array) -> float:
    """tr (A^(1/2) B A^(1/2))^(1/2) of two covariances.

    With A = L L^T, the matrix L^T B L has the same eigenvalues. Of small ones the root keeps half of the digits; then,
    at four times the cost, the trace is the sum of the singular values of F^T G, where A = F F^T and B = G G^T.
    """
    try:
        root = np.linalg.cholesky(first)
        values = np.linalg.eigvalsh(root.T @ second @ root)
        if values[0] > _SMALL * values[-1]:
            return float(np.sqrt(values).sum())
    except np.linalg.LinAlgError:
        pass
    return float(np.linalg.svd(_factor(first).T @ _factor(second), compute_uv=False).sum())


def _factor(covariance: Array) -> Array:
    """F [D, R] with F F^T = covariance, without the directions in which there is no variance but that of rounding."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > values.max(initial=0) * len(values) * np.finfo(np.float64).eps
    return vectors[:, kept] * np.sqrt(values[kept])


def _blocks(x: Array) -> Iterator[Array]:
    return (x[start : start + _ROWS] for start in range(0, len(x), _ROWS))


def _squared_distances(rows: Array, others: Array) -> tuple[Array, Array]:
    """Squared distances [N, M] by matrix product, and by how much rounding may make each wrong [N, M]."""
    rows, others = rows - others.mean(0), others - others.mean(0)
    lengths = np.square(rows).sum(1)[:, None] + np.square(others).sum(1)
    return lengths - 2 * rows @ others.T, _ROUNDING * lengths


def _ranked_distances(points: Array, others: Array, rank: int) -> Array:
    """Distance of each point to the nearest of the others (rank 0), the second nearest (1), and so on."""
    found = []
    for rows in _blocks(points):
        index = np.argpartition(_squared_distances(rows, others)[0], rank, axis=1)[:, rank]
        found.append(np.linalg.norm(rows - others[index], axis=1))
    return np.concatenate(found)


def _in_a_ball(points: Array, centres: Array, radii: Array) -> Array:
    """Which points lie in a ball, bool [N]; those that only rounding could decide are measured once more."""
    squared, doubt = _squared_distances(points, centres)
    beyond = squared - np.square(radii)
    inside, near = np.any(beyond < -doubt, axis=1), np.abs(beyond) <= doubt
    for row in np.flatnonzero(~inside & near.any(1)):
        balls = near[row]
        inside[row] = (np.linalg.norm(points[row] - centres[balls], axis=1) <= radii[balls]).any()
    return inside


def _kernel(products: Array, width: int) -> Array:
    values = products / width + 1
    return values * values * values


def _within(x: Array, chosen: Array) -> Array:
    """Mean [S] of the kernel over pairs of two different places in each subset."""
    size, own = chosen.sum(1), chosen @ _kernel(np.square(x).sum(1), x.shape[1])
    return (_kernel_sums(x, x, chosen, chosen) - own) / (size * (size - 1))


def _kernel_sums(first: Array, second: Array, of_first: Array, of_second: Array) -> Array:
    """Sums [S] of the kernel over the samples that each row of `of_first` [S, N] and `of_second` [S, M] chooses.

    A subset's sum is w K v: each value of the kernel is computed once for all the subsets.
    """
    sums, start = np.zeros(len(of_first)), 0
    for rows in _blocks(first):
        values = _kernel(rows @ second.T, first.shape[1])
        sums += (of_first[:, start : start + len(rows)] @ values * of_second).sum(1)
        start += len(rows)
    return sums
