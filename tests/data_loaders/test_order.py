"""The order of training is a function of (seed, step)."""

import numpy as np
import pytest

from data_loaders.common.order import batch_indices, epoch_order
from utils.run.errors import DataError


def test_an_epoch_is_a_permutation_of_its_own():
    orders = [epoch_order(seed, epoch, 50) for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    np.testing.assert_array_equal(orders[0], epoch_order(0, 0, 50))


def test_weights_set_how_often_a_sample_comes_up():
    weights = np.array([0.0, 1.0, 2.5, 0.25] * 25)
    expected = 100 * weights / weights.sum()
    counts = [np.bincount(epoch_order(3, epoch, 100, weights), minlength=100) for epoch in range(200)]
    assert all(((count >= np.floor(expected)) & (count <= np.ceil(expected))).all() for count in counts)
    np.testing.assert_allclose(np.mean(counts, 0), expected, atol=0.15)
    order = epoch_order(3, 0, 100, weights)
    assert (np.diff(order) < 0).any(), "systematic draws must not come in order"


def test_steps_walk_through_epochs_without_their_last_incomplete_batch():
    steps = [batch_indices(7, step, 10, 3) for step in range(6)]
    assert [epoch for _, epoch in steps] == [0, 0, 0, 1, 1, 1]
    for epoch in (0, 1):
        seen = np.concatenate([indices for indices, which in steps if which == epoch])
        assert len(set(seen)) == 9
    np.testing.assert_array_equal(batch_indices(7, 4, 10, 3)[0], steps[4][0])


def test_a_dataset_smaller_than_a_batch_is_an_error():
    assert len(batch_indices(0, 0, 4, 4)[0]) == 4
    with pytest.raises(DataError, match="3 motions.*batch of 4.*--train_batch_size"):
        batch_indices(0, 0, 3, 4)
