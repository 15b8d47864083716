"""The figures of sets of embeddings against those of the published programs, draws included."""

from pathlib import Path

import numpy as np
import pytest

from eval.metrics.distances import (
    diversity,
    draw_pairs,
    draw_subsets,
    frechet_distance,
    frechet_of,
    gaussian,
    kid_of,
    labelled_multimodality,
    matching_score,
    multimodality,
    precision_recall,
    r_precision,
)

Record = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def mas(golden: Path) -> Record:
    with np.load(golden / "mas" / "metrics.npz") as packed:
        return dict(packed)


@pytest.fixture(scope="module")
def mdm(golden: Path) -> Record:
    with np.load(golden / "mdm" / "eval_metrics.npz") as packed:
        return {name.removeprefix("f64_"): packed[name] for name in packed.files}


def test_frechet_distances(mas: Record, mdm: Record):
    generated, real = mas["gen"], mas["real"]
    assert frechet_distance(generated, real) == pytest.approx(float(mas["fid_float64"][0]), rel=1e-9)
    assert frechet_distance(generated, real) == pytest.approx(float(mas["fid"][0]), rel=1e-5), "published in float32"
    assert frechet_distance(mdm["emb1"], mdm["emb3"]) == pytest.approx(float(mdm["fid_13"]), rel=1e-9)
    assert frechet_distance(mdm["emb1"], mdm["emb1"]) == pytest.approx(float(mdm["fid_11"]), abs=1e-12)
    np.testing.assert_allclose(gaussian(mdm["emb1"])[1], mdm["cov1"], rtol=1e-12)


def test_a_singular_covariance(mas: Record):
    """8 samples in 16 dimensions: published with a little added to the diagonals, ours without."""
    distance = frechet_distance(mas["gen"][:8], mas["real"][:8])
    assert distance == pytest.approx(float(mas["fid_rank_deficient_first8"][0]), rel=1e-2)
    (mean1, cov1), (mean2, cov2) = (gaussian(mas[name][:8]) for name in ("gen", "real"))
    little = 1e-12 * np.eye(16)
    assert distance == pytest.approx(frechet_of(mean1, cov1 + little, mean2, cov2 + little), rel=1e-5)


def test_diversity(mas: Record, mdm: Record):
    pairs = draw_pairs(64, 20, np.random.RandomState(0))
    for drawn, expected in zip(pairs, (mas["div_idx1"], mas["div_idx2"]), strict=True):
        assert drawn.tolist() == expected.tolist()
    assert diversity(mas["gen"], pairs) == pytest.approx(float(mas["diversity_npseed0"][0]), rel=1e-6)
    pairs = draw_pairs(64, 20, np.random.RandomState(11))
    assert pairs[0].tolist() == mdm["diversity_idx1"].tolist() and pairs[1].tolist() == mdm["diversity_idx2"].tolist()
    assert diversity(mdm["emb3"], pairs) == pytest.approx(float(mdm["diversity_t2m_20"]), rel=1e-9)


def test_multimodality_of_sentences(mdm: Record):
    pairs = draw_pairs(12, 10, np.random.RandomState(12))
    assert pairs[0].tolist() == mdm["mm_idx1"].tolist() and pairs[1].tolist() == mdm["mm_idx2"].tolist()
    assert multimodality(mdm["mm_act"], pairs) == pytest.approx(float(mdm["multimodality_t2m_10"]), rel=1e-9)


def published_labelled_pairs(labels: np.ndarray, pairs: int, rng: np.random.RandomState) -> tuple:
    """Pairs of one label as the published program finds them: by drawing until two fit and more are wanted."""
    wanted = dict.fromkeys(labels.tolist(), pairs)
    first, second = [], []
    while any(wanted.values()):
        i = rng.randint(0, len(labels))
        if not wanted[labels[i]]:
            continue
        j = rng.randint(0, len(labels))
        while labels[i] != labels[j]:
            j = rng.randint(0, len(labels))
        wanted[labels[i]] -= 1
        first.append(i)
        second.append(j)
    return np.array(first), np.array(second)


def test_diversity_and_multimodality_of_actions(mdm: Record):
    """Of five labels one is absent."""
    x, labels, (expected, within) = mdm["emb3"], mdm["a2m_labels"], mdm["a2m_div_mm"]
    rng = np.random.RandomState(13)
    assert diversity(x, draw_pairs(64, 200, rng, repeat=True)) == pytest.approx(expected, rel=1e-9)
    pairs = published_labelled_pairs(labels, 20, rng)
    assert labelled_multimodality(x, labels, pairs, 5) == pytest.approx(within, rel=1e-9)
    alone = draw_pairs(64, 200, np.random.RandomState(14), repeat=True)
    assert diversity(x, alone) == pytest.approx(float(mdm["a2m_div"]), rel=1e-9)


def test_precision_and_recall(mas: Record, mdm: Record):
    assert precision_recall(mas["gen"], mas["real"]) == (mas["precision_k3"][0], mas["recall_k3"][0])
    assert precision_recall(mdm["emb1"], mdm["emb3"][:32]) == tuple(mdm["precision_recall"])


def test_kernel_distances(mdm: Record):
    """The published subsets are drawn with repetition, those of the real and of the generated in turn."""
    rng, sets = np.random.RandomState(15), (mdm["emb3"], mdm["emb1"])
    drawn = [[draw_subsets(len(x), 1, 20, rng, repeat=True) for x in sets] for _ in range(4)]
    chosen = [np.concatenate(each) for each in zip(*drawn, strict=True)]
    np.testing.assert_allclose(kid_of(*sets, chosen[0], chosen[1]), mdm["kid_mmds"], rtol=1e-9)
    whole = np.ones((1, 32))
    np.testing.assert_allclose(kid_of(mdm["emb1"], mdm["emb3"][:32], whole, whole), mdm["mmd2"], rtol=1e-9)


def test_sentences_and_their_motions(mdm: Record):
    text, motion = mdm["emb1"], mdm["emb2"]
    np.testing.assert_allclose(np.linalg.norm(text[:, None] - motion, axis=-1), mdm["dist"], rtol=1e-9)
    np.testing.assert_allclose(r_precision(text, motion), mdm["r_precision"], rtol=1e-12)
    np.testing.assert_allclose(r_precision(text, motion), mdm["top_k"].mean(0), rtol=1e-12)
    assert matching_score(text, motion) == pytest.approx(float(mdm["matching"]), rel=1e-9)
    assert matching_score(text, motion) == pytest.approx(mdm["matching_each"].mean(), rel=1e-9)
