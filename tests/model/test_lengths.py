"""How long what a sentence says takes: the regression, the shipped map, and files that are none."""

import numpy as np
import pytest
import torch

from model.text.encoders import load_text_encoder
from model.text.lengths import ENCODER, Lengths, fit, knows, load, seconds_of
from utils.run.errors import DataError, MissingFileError


def test_the_fit_finds_the_map_that_made_the_lengths():
    rng = np.random.RandomState(0)
    vectors, weights = rng.normal(size=(400, 5)), np.array([0.3, -0.2, 0.0, 0.1, 0.4])
    seconds = np.exp(vectors @ weights + 1.2 + rng.normal(0, 0.1, 400))
    found = fit(vectors, seconds, np.ones(400), ridge=1e-6)
    np.testing.assert_allclose(found.weights, weights, atol=0.02)
    assert found.bias == pytest.approx(1.2, abs=0.02) and found.spread == pytest.approx(0.1, abs=0.01)
    assert np.abs(fit(vectors, seconds, np.ones(400), ridge=10.0).weights).max() < 0.1


def test_what_counts_nothing_changes_nothing():
    rng = np.random.RandomState(1)
    vectors, seconds = rng.normal(size=(60, 3)), rng.uniform(1, 9, 60)
    weight = np.r_[np.ones(40), np.zeros(20)]
    half, whole = fit(vectors[:40], seconds[:40], np.ones(40), 0.1), fit(vectors, seconds, weight, 0.1)
    np.testing.assert_allclose(half.weights, whole.weights, atol=1e-6)


def test_seconds_are_a_middle_and_a_range_about_it():
    lengths = Lengths(np.array([1.0, -1.0]), bias=np.log(3.0), spread=np.log(2.0))
    found = lengths.seconds(torch.tensor([[0.0, 0.0], [np.log(2.0), 0.0], [0.0, np.log(2.0)]]))
    torch.testing.assert_close(found, torch.tensor([[1.5, 3, 6], [3, 6, 12], [0.75, 1.5, 3]]).double())


def test_the_shipped_map_knows_long_from_short():
    """More is longer: two things than one of them, three than one, sitting than a run; of all shipped sentences."""
    assert knows("minilm") and knows("minilm_words") and not knows("clip")
    encode = load_text_encoder(ENCODER)

    def middle(text: str) -> float:
        low, found, high = seconds_of(encode([text])[0][:, 0])[0].tolist()
        assert 0.5 < low < found < high < 30
        return found

    assert middle("a person runs") < 4 < middle("a person walks")
    assert middle("a person runs") < middle("a person sits down")
    assert middle("a person jumps") < middle("a person jumps three times")
    assert middle("a person walks forward") < middle("a person walks forward, then turns around and walks back")
    assert middle("a person walks in a half circle") < middle("a person walks in a circle")


def test_files_that_hold_no_map(tmp_path):
    with pytest.raises(MissingFileError):
        load(tmp_path / "none.npz")
    for name, content in {
        "other": {"weights": np.ones(3)},
        "shape": {"weights": np.ones((3, 2)), "bias": 0.0, "spread": 0.1},
        "infinite": {"weights": np.array([1, np.inf]), "bias": 0.0, "spread": 0.1},
    }.items():
        np.savez(tmp_path / f"{name}.npz", **content)
        with pytest.raises(DataError, match="holds no map"):
            load(tmp_path / f"{name}.npz")
