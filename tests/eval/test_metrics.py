"""Laws of the figures of sets of embeddings: closed forms, identity, symmetry, order, and what is refused."""

import itertools

import numpy as np
import pytest

from eval.metrics.distances import (
    METRICS,
    accuracy,
    diversity,
    draw_labelled_pairs,
    draw_pairs,
    draw_subsets,
    frechet_distance,
    frechet_of,
    gaussian,
    interval,
    kid,
    kid_of,
    labelled_multimodality,
    matching_score,
    multimodality,
    nearest_distance,
    precision_recall,
    r_precision,
    share_inside,
)
from utils.run.errors import DataError
from utils.run.randomness import numpy_rng


def normal(count: int, width: int = 6, seed: int = 0, mean: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return mean + scale * numpy_rng(seed, "metrics", count, width).normal(size=(count, width))


def whitened(count: int, width: int, seed: int = 0) -> np.ndarray:
    """Samples whose mean is exactly 0 and whose covariance is exactly the identity."""
    x = normal(count, width, seed)
    x -= x.mean(0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(x, rowvar=False)))).T


def turn(width: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(normal(width, width, seed))[0]


# The Fréchet distance.


def test_the_frechet_distance_of_two_gaussians_on_common_axes():
    """Diagonal covariances: |m1 - m2|^2 + sum (s1 - s2)^2."""
    first, second = np.array([1.0, 2.0, 0.5]), np.array([3.0, 0.0, 0.5])
    means = np.array([0.0, 1.0, -1.0]), np.array([0.5, 1.0, 2.0])
    expected = np.square(means[0] - means[1]).sum() + np.square(first - second).sum()
    axes = turn(3)
    covariances = [axes @ np.diag(each**2) @ axes.T for each in (first, second)]
    assert frechet_of(means[0], covariances[0], means[1], covariances[1]) == pytest.approx(expected, rel=1e-12)
    sets = [whitened(40, 3) * deviation + mean for deviation, mean in zip((first, second), means, strict=True)]
    assert frechet_distance(sets[0], sets[1]) == pytest.approx(expected, rel=1e-10)
    assert frechet_distance(sets[0] @ axes, sets[1] @ axes) == pytest.approx(expected, rel=1e-10)


def test_the_frechet_distance_in_one_and_in_two_dimensions():
    """In one dimension |m1 - m2|^2 + (s1 - s2)^2; in two tr (AB)^(1/2) = (tr AB + 2 det(AB)^(1/2))^(1/2)."""
    x = whitened(30, 1)
    assert frechet_distance(x, 3 * x + 2) == pytest.approx(4 + 4, rel=1e-12)
    a, b = np.array([[2.0, 0.7], [0.7, 1.0]]), np.array([[1.0, -0.4], [-0.4, 3.0]])
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    zero = np.zeros(2)
    assert frechet_of(zero, a, zero, b) == pytest.approx(np.trace(a) + np.trace(b) - 2 * root, rel=1e-12)


@pytest.mark.parametrize(("count", "width"), [(200, 6), (5, 16), (2, 3), (64, 64)])
def test_the_frechet_distance_of_a_set_to_itself_is_0_and_it_is_symmetric(count: int, width: int):
    """Fewer samples than dimensions have singular covariances."""
    x, y = normal(count, width), normal(count, width, seed=1, mean=0.3, scale=1.5)
    size = gaussian(x)[1].trace()
    assert 0 <= frechet_distance(x, x) < 1e-12 * size
    assert 0 <= frechet_distance(x, numpy_rng(0, "order").permutation(x)) < 1e-7 * size
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)
    assert frechet_distance(x, y) > 0.1


def test_both_ways_to_the_frechet_distance_agree(monkeypatch: pytest.MonkeyPatch):
    x, y = (normal(300, 20, seed) * np.geomspace(1, 1e-2, 20) @ turn(20, seed) for seed in (0, 1))
    one = frechet_distance(x, y)
    monkeypatch.setattr("eval.metrics.distances._SMALL", 1.0)
    assert frechet_distance(x, y) == pytest.approx(one, rel=1e-9)


def test_the_frechet_distance_grows_with_a_shift_by_its_square():
    x = normal(50)
    for shift in (0.1, 1.0, 10.0):
        assert frechet_distance(x, x + shift) == pytest.approx(6 * shift**2, rel=1e-9)
    assert frechet_distance(2 * x, 2 * (x + 1)) == pytest.approx(4 * 6, rel=1e-9), "squared units"
    flat = np.ones((10, 4))
    assert frechet_distance(flat, flat + (3, 0, 0, 4)) == pytest.approx(25), "no variance at all"


# Diversity and multimodality.


def test_diversity_is_the_mean_distance_of_the_pairs():
    x = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    assert diversity(x, (np.array([0, 0]), np.array([1, 2]))) == pytest.approx((5 + 1) / 2)
    assert diversity(x, (np.array([1, 2]), np.array([1, 2]))) == 0
    assert diversity(x + 7, (np.array([0, 0]), np.array([1, 2]))) == pytest.approx(3)
    wide = normal(4000, 50)
    expected = np.sqrt(2 * 50)
    assert diversity(wide, draw_pairs(4000, 2000, numpy_rng(0, "pairs"))) == pytest.approx(expected, rel=0.02)


def test_pairs_repeat_no_index_unless_asked_to():
    first, second = draw_pairs(20, 20, numpy_rng(0, "pairs"))
    assert sorted(first) == sorted(second) == list(range(20)) and first.tolist() != second.tolist()
    first, second = draw_pairs(3, 100, numpy_rng(0, "pairs"), repeat=True)
    assert len(first) == len(second) == 100 and set(first) == set(second) == {0, 1, 2}
    assert draw_pairs(9, 5, numpy_rng(1, "a"))[0].tolist() == draw_pairs(9, 5, numpy_rng(1, "a"))[0].tolist()


def test_multimodality_is_the_mean_over_the_repeats_of_a_sentence():
    x = np.zeros((2, 3, 2))
    x[0, 1] = (3, 4)
    x[1, 2] = (0, 2)
    pairs = np.array([0, 1]), np.array([1, 2])
    assert multimodality(x, pairs) == pytest.approx((5 + 5 + 0 + 2) / 4)
    assert multimodality(x[:1], pairs) == pytest.approx(5)
    assert multimodality(np.ones((4, 5, 3)), draw_pairs(5, 5, numpy_rng(0))) == 0


def test_multimodality_of_labels_divides_by_all_labels():
    x = np.array([[0.0], [2.0], [0.0], [5.0]])
    labels = np.array([0, 0, 2, 2])
    pairs = np.array([0, 0, 2, 3]), np.array([1, 0, 3, 2])
    assert labelled_multimodality(x, labels, pairs, 3) == pytest.approx((1 + 0 + 5) / 3)
    assert labelled_multimodality(x, labels, pairs, 4) == pytest.approx((1 + 0 + 5 + 0) / 4)
    drawn = draw_labelled_pairs(labels, 500, numpy_rng(0, "labels"))
    assert (labels[drawn[0]] == labels[drawn[1]]).all() and np.bincount(labels[drawn[0]]).tolist() == [500, 0, 500]
    assert labelled_multimodality(x, labels, drawn, 3) == pytest.approx((1 + 0 + 2.5) / 3, rel=0.1)


# Precision, recall and the nearest.


def test_precision_and_recall_of_a_set_with_itself_are_1():
    for x in (normal(50), np.ones((10, 3)), np.repeat(normal(5), 4, axis=0), 1e6 + normal(40), 1e-9 * normal(40)):
        assert precision_recall(x, x) == (1, 1)
        assert precision_recall(x, numpy_rng(0).permutation(x)) == (1, 1)


def test_the_border_of_a_ball_belongs_to_it():
    """On a line of whole numbers the third nearest of an end is 3 away, of a middle point 2."""
    line = np.arange(10.0)[:, None]
    for far, share in ((3.0, 1), (3.0 + 1e-13, 0), (3.0 + 1e-9, 0)):
        assert share_inside(np.full((10, 1), 9 + far), line) == share
        assert share_inside(np.full((10, 1), -far), line) == share
    assert share_inside(np.full((10, 1), 9 + 1.0), line, k=1) == 1
    assert share_inside(np.full((10, 1), 9 + 1.1), line, k=1) == 0


def test_precision_tells_quality_and_recall_variety():
    real = np.concatenate([normal(50), normal(50, seed=1, mean=50)])
    one_mode = np.concatenate([normal(50, seed=2), normal(50, seed=3)])
    precision, recall = precision_recall(one_mode, real)
    assert precision > 0.8 and recall < 0.6
    assert precision_recall(real, one_mode) == (recall, precision), "roles swapped"
    assert precision_recall(real + 1000, real) == (0, 0)


def double_loop(points: np.ndarray, reference: np.ndarray, k: int) -> float:
    radii = [np.sort([np.linalg.norm(a - b) for b in reference])[k] for a in reference]
    inside = [any(np.linalg.norm(p - c) <= r for c, r in zip(reference, radii, strict=True)) for p in points]
    return float(np.mean(inside))


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_is_that_of_the_double_loop(k: int):
    """Whole numbers give many points on the very border of a ball, and many twice."""
    rng = numpy_rng(0, "lattice")
    sets = [(normal(60, 3), normal(60, 3, 1)), tuple(rng.randint(0, 5, (2, 60, 3)).astype(float))]
    for generated, real in sets:
        assert share_inside(generated, real, k) == double_loop(generated, real, k)
        far = generated + 1e8, real + 1e8
        assert share_inside(*far, k) == double_loop(*far, k), "far from 0 too"


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch):
    generated, real = normal(50), normal(50, seed=1)
    whole = (
        precision_recall(generated, real),
        nearest_distance(generated, real),
        kid(generated, real, numpy_rng(0), 5, 9),
    )
    monkeypatch.setattr("eval.metrics.distances._ROWS", 7)
    assert precision_recall(generated, real) == whole[0]
    np.testing.assert_allclose(nearest_distance(generated, real), whole[1], rtol=1e-12)
    assert kid(generated, real, numpy_rng(0), 5, 9) == pytest.approx(whole[2], rel=1e-10)


def test_the_nearest_real_sample():
    generated, real = normal(30), normal(80, seed=1)
    expected = [min(np.linalg.norm(x - y) for y in real) for x in generated]
    np.testing.assert_allclose(nearest_distance(generated, real), expected, rtol=1e-12)
    np.testing.assert_allclose(nearest_distance(real, real), 0, atol=1e-12)
    assert nearest_distance(np.array([[3.0, 4.0]]), np.zeros((1, 2))).tolist() == [5]


# The kernel distance.


def plain_kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / len(a) + 1) ** 3

    within = [np.mean([kernel(a, b) for a, b in itertools.permutations(each, 2)]) for each in (x, y)]
    return float(sum(within) - 2 * np.mean([kernel(a, b) for a in x for b in y]))


def test_the_kernel_distance_is_the_plain_sum_over_each_subset():
    x, y = normal(15, 4), normal(12, 4, seed=1, mean=0.5)
    chosen = draw_subsets(15, 3, 6, numpy_rng(0, "x")), draw_subsets(12, 3, 7, numpy_rng(0, "y"))
    assert chosen[0].sum(1).tolist() == [6, 6, 6] and chosen[0].max() == 1
    expected = [plain_kernel_distance(x[a > 0], y[b > 0]) for a, b in zip(*chosen, strict=True)]
    np.testing.assert_allclose(kid_of(x, y, *chosen), expected, rtol=1e-10)
    twice = draw_subsets(4, 2, 30, numpy_rng(0), repeat=True)
    repeated = [np.repeat(x[:4], row.astype(int), axis=0) for row in twice]
    expected = [plain_kernel_distance(each, y) for each in repeated]
    np.testing.assert_allclose(kid_of(x[:4], y, twice, np.ones((2, 12))), expected, rtol=1e-10)


def test_the_kernel_distance_of_one_distribution_is_near_0_to_both_sides():
    values = [kid(normal(200, seed=2 * i), normal(200, seed=2 * i + 1), numpy_rng(i), 1, 200) for i in range(60)]
    mean, half = interval(values)
    assert abs(mean) < 1.5 * half and min(values) < 0 < max(values)
    other = kid(normal(200), normal(200, seed=1, mean=0.5), numpy_rng(0), 1, 200)
    assert other > 5 * np.std(values)


def test_the_kernel_distance_is_symmetric():
    x, y, rows = normal(30), normal(30, seed=1, mean=0.3), np.ones((1, 30))
    np.testing.assert_allclose(kid_of(x, y, rows, rows), kid_of(y, x, rows, rows), rtol=1e-10)


# Sentences and motions.


def test_identical_embeddings_find_each_other():
    x = normal(96)
    assert r_precision(x, x).tolist() == [1, 1, 1]
    assert matching_score(x, x) == 0
    assert matching_score(x, x + 1) == pytest.approx(np.sqrt(6))


def test_r_precision_counts_places_within_the_batch():
    """A line of motions, each sentence beside the motion two places further on: its own is the 3rd, the ends apart."""
    motion = np.arange(32.0)[:, None]
    text = motion + 2.1
    shares = r_precision(text, motion, top=6)
    own = [int((abs(text[i] - motion[:, 0]) < 2.1 - 1e-9).sum()) for i in range(32)]
    assert shares == pytest.approx([np.mean([place < k for place in own]) for k in range(1, 7)])
    assert shares[0] == pytest.approx(1 / 32) and shares[4] == 1
    two = r_precision(np.concatenate([text, motion]), np.concatenate([motion, motion]), top=6)
    assert two == pytest.approx((shares + 1) / 2), "a batch does not see the others"


def test_an_encoder_that_tells_nothing_apart_scores_chance():
    np.testing.assert_allclose(r_precision(np.zeros((64, 3)), np.ones((64, 3))), [1 / 32, 2 / 32, 3 / 32])
    far = r_precision(normal(3200), normal(3200, seed=1))
    np.testing.assert_allclose(far, [1 / 32, 2 / 32, 3 / 32], atol=0.02)


def test_accuracy():
    logits = np.array([[0.1, 0.9], [2.0, 1.0], [-1.0, -2.0], [0.0, 5.0]])
    assert accuracy(logits, np.array([1, 0, 0, 1])) == 1
    assert accuracy(logits, np.array([1, 0, 1, 0])) == 0.5


# All of them.


def test_no_figure_depends_on_the_order_of_the_samples():
    x, y, order = normal(64), normal(64, seed=1, mean=0.2), numpy_rng(0, "order").permutation(64)
    assert frechet_distance(x[order], y) == pytest.approx(frechet_distance(x, y), rel=1e-9)
    assert precision_recall(x[order], y) == precision_recall(x, y) == precision_recall(x, y[order])
    everything = np.ones((1, 64))
    assert kid_of(x[order], y, everything, everything) == pytest.approx(kid_of(x, y, everything, everything), rel=1e-9)
    assert matching_score(x[order], y[order]) == pytest.approx(matching_score(x, y), rel=1e-12)
    within = np.concatenate([numpy_rng(0).permutation(32), 32 + numpy_rng(1).permutation(32)])
    assert r_precision(x[within], y[within]).tolist() == r_precision(x, y).tolist()
    swapped = np.concatenate([np.arange(32, 64), np.arange(32)])
    assert r_precision(x[swapped], y[swapped]).tolist() == r_precision(x, y).tolist()


def test_float32_is_computed_in_float64():
    x, y = normal(64).astype(np.float32), (1000 + normal(64, seed=1)).astype(np.float32)
    for name, metric in METRICS.items():
        expected = metric(x.astype(np.float64), y.astype(np.float64), numpy_rng(0))
        assert metric(x, y, numpy_rng(0)) == expected and isinstance(expected, float), name


def test_the_interval_is_1_96_standard_errors():
    mean, half = interval(np.array([1.0, 2.0, 3.0, 6.0]))
    assert (mean, half) == pytest.approx((3, 1.96 * np.sqrt(3.5) / 2))
    assert interval(np.array([4.0])) == (4, 0)


def test_the_table_of_the_figures():
    x, y = normal(64), normal(64, seed=1, mean=0.2)
    assert list(METRICS) == ["fid", "diversity", "precision", "recall", "kid"]
    found = {name: metric(x, y, numpy_rng(0, name)) for name, metric in METRICS.items()}
    assert found["fid"] == frechet_distance(x, y)
    assert (found["precision"], found["recall"]) == precision_recall(x, y)
    everything = np.ones((1, 64))
    assert found["kid"] == pytest.approx(float(kid_of(x, y, everything, everything)[0])), "64 are fewer than 1000"
    assert found["diversity"] == diversity(x, draw_pairs(64, 63, numpy_rng(0, "diversity")))
    large = normal(300)
    assert METRICS["diversity"](large, large, numpy_rng(0)) == diversity(large, draw_pairs(300, 200, numpy_rng(0)))


RNG = numpy_rng(0, "refused")
ONE, FEW, SETS = normal(1), normal(3), normal(40)
REFUSED = {
    "a covariance needs at least 2 samples, and there are 1": lambda: frechet_distance(ONE, SETS),
    "diversity needs at least 2 samples, and there are 1": lambda: diversity(ONE, draw_pairs(1, 1, RNG)),
    "50 pairs need at least 50 samples, and there are 40": lambda: draw_pairs(40, 50, RNG),
    "5 pairs need at least 1 samples, and there are 0": lambda: draw_pairs(0, 5, RNG, repeat=True),
    "the pairs name up to 60 samples, and there are 40": lambda: diversity(SETS, (np.array([3]), np.array([59]))),
    "at least 2 repeats": lambda: multimodality(np.zeros((3, 1, 5)), draw_pairs(1, 1, RNG)),
    "two different labels": lambda: labelled_multimodality(FEW, np.array([0, 1, 1]), (np.array([0]), np.array([1])), 2),
    "whole numbers from 0 to 1": lambda: labelled_multimodality(
        FEW, np.array([0, 1, 2]), (np.array([0]), np.array([0])), 2
    ),
    "precision and recall needs at least 4 samples, and there are 3": lambda: precision_recall(FEW, FEW),
    "equal number, and these have 40 and 30": lambda: precision_recall(SETS, SETS[:30]),
    "subsets of 1000 need at least 1000 samples, and there are 40": lambda: kid(SETS, SETS, RNG),
    "1 subset of 2": lambda: kid(SETS, SETS, RNG, 100, 1),
    "R-precision needs at least 32 samples, and there are 3": lambda: r_precision(FEW, FEW),
    "whole batches of 32, and there are 40": lambda: r_precision(SETS, SETS),
    "the matching score needs sets of equal number": lambda: matching_score(SETS, FEW),
    "accuracy needs at least 1 samples": lambda: accuracy(np.zeros((0, 3)), np.zeros(0, int)),
    "from 0 to 5, one for each sample": lambda: accuracy(FEW, np.array([0, 6, 1])),
    "an interval needs at least 1 value": lambda: interval(np.zeros(0)),
    "come from two encoders": lambda: frechet_distance(SETS, normal(40, 7)),
    r"embeddings are \[samples, numbers\], these are \[40, 2, 3\]": lambda: frechet_distance(
        SETS.reshape(40, 2, 3), SETS.reshape(40, 2, 3)
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_too_few_and_unfit_samples_are_refused_with_the_number_needed(message: str):
    with pytest.raises(DataError, match=message):
        REFUSED[message]()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused(value: float):
    bad = normal(64)
    bad[5, 2] = bad[7, 1] = value
    pairs = np.arange(3), np.arange(3)
    compared = [metric for name, metric in METRICS.items() if name != "diversity"]
    calls = [
        *(lambda metric=metric: metric(bad, normal(64), numpy_rng(0)) for metric in METRICS.values()),
        *(lambda metric=metric: metric(normal(64), bad, numpy_rng(0)) for metric in compared),
        lambda: diversity(bad, pairs),
        lambda: multimodality(bad[None], pairs),
        lambda: r_precision(bad, normal(64)),
        lambda: matching_score(normal(64), bad),
        lambda: accuracy(bad, np.zeros(64, int)),
        lambda: nearest_distance(normal(64), bad),
    ]
    for call in calls:
        with pytest.raises(DataError, match="samples hold NaN or infinity"):
            call()
    with pytest.raises(DataError, match="NaN or infinity"):
        frechet_of(np.zeros(2), np.full((2, 2), value), np.zeros(2), np.eye(2))
    with pytest.raises(DataError, match="NaN or infinity"):
        interval(np.array([1.0, value]))
