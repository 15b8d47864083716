"""Requests sampled in parts, and results that are drawn meanwhile."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from sample.common import samples as module
from sample.common.plain import sample_plain
from sample.common.request import make_request
from sample.common.results import write_results
from sample.common.samples import apart, put_together, sampled_in_parts
from sample.multiview.sampling import independent, sample_3d
from sample.options import MasOptions
from tests.published import tiny_session
from utils.formats import results
from utils.run.errors import NumericError


@pytest.fixture
def session(golden):
    session = dataclasses.replace(tiny_session(golden, 6, compat="none"), path=Path(__file__))
    return dataclasses.replace(
        session, sampling=dataclasses.replace(session.sampling, num_samples=5, motion_length=0.4)
    )


@pytest.fixture
def in_twos(monkeypatch):
    monkeypatch.setattr(module, "PART", 2)


@pytest.mark.parametrize("views", [False, True])
def test_parts_are_what_the_whole_is(session, in_twos, views):
    def sample(session, request):
        return sample_3d(session, request, MasOptions(num_views=3)) if views else sample_plain(session, request)

    request, steps = make_request(session), []
    watched = dataclasses.replace(session, callback=lambda *numbers: steps.append(numbers))
    parts = list(sampled_in_parts(watched, request, sample))
    assert [len(part.lengths) for part in parts] == [2, 2, 1]
    torch.testing.assert_close(put_together(parts).features, sample(session, request), atol=1e-5, rtol=0)
    each = len(steps) // 3
    assert steps == [(step, 3 * each) for step in range(1, 3 * each + 1)]


def test_what_depends_on_each_other_is_sampled_at_once(session, golden, in_twos):
    request = make_request(session)
    assert apart(session, request)
    recurring = dataclasses.replace(session.model_options, arch="gru", recurrence="batch")
    assert not apart(dataclasses.replace(session, model_options=recurring), request)
    published = dataclasses.replace(session, run=dataclasses.replace(session.run, compat="published"))
    assert not apart(published, request)
    assert not apart(session, dataclasses.replace(request, lengths=torch.tensor([12, 12, 9, 12, 12])))
    assert not apart(session, dataclasses.replace(request, inputs={"prefix": torch.zeros(5, 2)}))
    assert not independent(MasOptions(fit="adam")) and not independent(MasOptions(), "dreamfusion_annealed")
    assert len(list(sampled_in_parts(session, request, sample_plain, independent=False))) == 1


def test_the_files_are_the_same_whatever_the_parts(session, tmp_path, monkeypatch):
    """Written part after part, or at once: the same names, the same videos of the same motions."""
    request = make_request(session)
    whole = sample_plain(session, request)

    def recall(_, part):
        return whole[part.first : part.first + len(part.lengths)]

    for size in (2, 32):
        monkeypatch.setattr(module, "PART", size)
        write_results(tmp_path / f"{size}", session, request, sampled_in_parts(session, request, recall))
    one, other = ({path.name: path for path in (tmp_path / name).iterdir()} for name in ("2", "32"))
    assert set(one) == set(other) and "result_4.mp4" in one
    for name, path in one.items():
        if path.suffix in (".mp4", ".png"):
            assert path.read_bytes() == other[name].read_bytes(), name
    assert np.array_equal(*(results.load(path["results.npy"])["motions"] for path in (one, other)))


def test_a_part_that_is_not_finite_leaves_nothing(session, tmp_path, in_twos):
    request, parts = make_request(session), iter((0.0, float("nan"), 0.0))

    def sample(_, part):
        return torch.full((len(part.lengths), part.frames, 16, 2), next(parts))

    with pytest.raises(NumericError, match="nothing was written"):
        write_results(tmp_path / "out", session, request, sampled_in_parts(session, request, sample))
    assert not list(tmp_path.iterdir())
