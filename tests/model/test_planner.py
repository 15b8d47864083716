import pytest
import torch

from model.options import PlannerOptions
from model.text.planner import Planner, plan_loss

SIZES = (5, 3, 4)


@pytest.fixture
def planner() -> Planner:
    torch.manual_seed(0)
    return Planner(PlannerOptions(planner_width=16, planner_layers=1, planner_dropout=0.0), 8, SIZES).eval()


@pytest.fixture
def told() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    visible = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    return torch.randn(2, 5, 8), visible, torch.tensor([2.0, 4.0])


def test_a_number_knows_those_before_it_and_none_after(planner: Planner, told):
    rows = torch.tensor([[[1, 2, 3], [2, 1, 0], [4, 0, 1]]] * 2)
    before = planner(*told, rows)
    changed = rows.clone()
    changed[:, 1, 1] = 2
    after = planner(*told, changed)
    same = [torch.equal(a[:, :1], b[:, :1]) for a, b in zip(before, after, strict=True)]
    assert same == [True, True, True], "the row before"
    assert torch.equal(before[0][:, 1], after[0][:, 1]) and torch.equal(before[1][:, 1], after[1][:, 1])
    assert not torch.allclose(before[2][:, 1], after[2][:, 1]), "the number after it in the row"
    assert not torch.allclose(before[0][:, 2], after[0][:, 2]), "the row after"


@torch.no_grad()
def test_words_that_are_not_there_and_rows_after_the_end_count_nothing(planner: Planner, told):
    text, visible, seconds = told
    rows = torch.tensor([[[1, 2, 3], [0, 0, 0], [0, 0, 0]], [[2, 1, 1], [1, 1, 1], [0, 0, 0]]])
    before = planner(text, visible, seconds, rows)
    other = torch.where(visible[..., None], text, torch.randn_like(text))
    assert all(
        torch.allclose(a, b, atol=1e-6) for a, b in zip(before, planner(other, visible, seconds, rows), strict=True)
    )
    longer = torch.cat((rows, torch.zeros(2, 2, 3, dtype=torch.int64)), dim=1)
    found = plan_loss(planner(text, visible, seconds, longer), longer)["loss"]
    assert found == pytest.approx(float(plan_loss(before, rows)["loss"]), abs=1e-6)


@torch.no_grad()
def test_what_is_sampled_has_the_probability_that_the_network_says(planner: Planner, told):
    rows, likely = planner.sample(*told, torch.rand(2, 4, 3, generator=torch.Generator().manual_seed(1)), 1.0)
    logits = planner(*told, rows)
    for row in range(2):
        ends = (rows[row, :, 0] == 0).nonzero()
        count = int(ends[0]) if len(ends) else rows.shape[1]
        log = sum(
            each[row, n].log_softmax(-1)[rows[row, n, i]]
            for n in range(min(count + 1, rows.shape[1]))
            for i, each in enumerate(logits)
            if n < count or i == 0
        )
        assert float(likely[row]) == pytest.approx(float(log), abs=1e-4)
        assert not rows[row, count:].any()


def test_a_planner_learns_what_words_tell_and_in_which_order(planner: Planner):
    words = torch.randn(2, 1, 8, generator=torch.Generator().manual_seed(2))
    text = torch.stack((torch.cat((words[0], words[1])), torch.cat((words[1], words[0]))))
    rows = torch.tensor([[[1, 2, 3], [2, 1, 0], [0, 0, 0]], [[2, 1, 0], [1, 2, 3], [0, 0, 0]]])
    visible, seconds = torch.ones(2, 2, dtype=torch.bool), torch.tensor([3.0, 3.0])
    optimiser = torch.optim.Adam(planner.parameters(), 1e-2)
    for _ in range(80):
        optimiser.zero_grad()
        plan_loss(planner(text, visible, seconds, rows), rows)["loss"].backward()
        optimiser.step()
    found, _ = planner.sample(text, visible, seconds, torch.full((2, 4, 3), 0.5), 0.5)
    assert torch.equal(found, rows)
