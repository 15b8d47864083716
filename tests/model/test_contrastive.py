"""The encoders of sentences and motion: padding, tokens, unit length; and the contrastive loss, by its formula."""

from dataclasses import replace

import pytest
import torch

from model.evaluators.contrastive import UNSEEN, Contrastive, contrastive_loss
from model.options import ContrastiveOptions
from utils.run.errors import UsageError

FEATURES, WIDTH = 23, 12
TINY = ContrastiveOptions(c_embedding=8, c_width=16, c_layers=2, c_heads=2, c_ff_size=24, c_dropout=0.5)


def network(**changes) -> Contrastive:
    torch.manual_seed(0)
    return Contrastive(FEATURES, WIDTH, replace(TINY, **changes)).eval()


def motion(batch: int, frames: int) -> torch.Tensor:
    return torch.randn(batch, frames, FEATURES, generator=torch.Generator().manual_seed(1))


def embed(x: torch.Tensor, *lengths: int) -> torch.Tensor:
    with torch.no_grad():
        return network().embed_motion(x, torch.tensor(lengths))


def test_embeddings_are_of_unit_length():
    model = network()
    with torch.no_grad():
        made = model.embed_motion(motion(3, 20), torch.tensor([20, 4, 12])), model.embed_text(torch.randn(5, WIDTH))
    for embedding, count in zip(made, (3, 5), strict=True):
        assert embedding.shape == (count, 8)
        torch.testing.assert_close(embedding.norm(dim=-1), torch.ones(count))


def test_frames_beyond_the_end_do_not_count():
    x, spoiled = motion(3, 20), motion(3, 20)
    for row, length in enumerate((20, 8, 5)):
        spoiled[row, length:] = 1e6
    torch.testing.assert_close(embed(spoiled, 20, 8, 5), embed(x, 20, 8, 5), atol=1e-6, rtol=0)


@pytest.mark.parametrize("lengths", [(20, 20, 20), (20, 13, 7), (4, 8, 5)])
def test_a_motion_alone_is_what_it_is_in_a_batch(lengths):
    x = motion(3, 20)
    together = embed(x, *lengths)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(embed(x[row : row + 1, :length], length)[0], together[row], atol=1e-6, rtol=0)


def test_what_is_seen():
    """Every frame of a whole token and its place; neither the contacts nor frames that make no token."""
    x = motion(1, 19)
    before = embed(x, 19)
    for frame in (0, 7, 15):
        changed = x.clone()
        changed[0, frame, 3] += 1
        assert (embed(changed, 19) - before).abs().max() > 1e-3
    blind = x.clone()
    blind[..., -UNSEEN:] += 5
    blind[:, 16:] += 5
    torch.testing.assert_close(embed(blind, 19), before, atol=1e-6, rtol=0)
    backwards = x[:, :16].unflatten(1, (4, 4)).flip(1).flatten(1, 2)
    assert (embed(backwards, 16) - before).abs().max() > 1e-3, "the order of the tokens tells something"


def test_the_loss_is_the_formula():
    """Two pairs with cosines given: the mean of -log softmax over rows and over columns."""
    angle = torch.tensor([0.2, 1.1, 2.5])
    text = torch.stack((angle.cos(), angle.sin()), -1)
    other = angle + torch.tensor([0.3, -0.2, 0.1])
    moved = torch.stack((other.cos(), other.sin()), -1)
    scores = (5 * text @ moved.T).exp()
    own = scores.diagonal()
    wanted = -(own / scores.sum(1)).log() / 2 - (own / scores.sum(0)).log() / 2
    found = contrastive_loss(text, moved, torch.tensor(5.0), torch.eye(3, dtype=torch.bool))
    torch.testing.assert_close(found, wanted)


def test_pairs_that_are_alike_are_no_negatives():
    """The loss of a pair is that in a batch without those that say the same."""
    draws = torch.Generator().manual_seed(3)
    text, moved = (torch.nn.functional.normalize(torch.randn(4, 6, generator=draws), dim=-1) for _ in range(2))
    alike = torch.eye(4, dtype=torch.bool)
    alike[0, 2] = alike[2, 0] = True
    found = contrastive_loss(text, moved, torch.tensor(7.0), alike)
    rows = [0, 1, 3]
    apart = contrastive_loss(text[rows], moved[rows], torch.tensor(7.0), torch.eye(3, dtype=torch.bool))
    torch.testing.assert_close(found[0], apart[0])
    all_alike = contrastive_loss(text, moved, torch.tensor(7.0), torch.ones(4, 4, dtype=torch.bool))
    torch.testing.assert_close(all_alike, torch.zeros(4))


def test_the_loss_falls_when_pairs_come_closer():
    text = torch.nn.functional.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(4)), dim=-1)
    eye = torch.eye(6, dtype=torch.bool)
    losses = [contrastive_loss(text, text.roll(k, 0), torch.tensor(10.0), eye).mean() for k in (0, 1)]
    assert losses[0] < losses[1]


def test_sharpness_begins_at_ten_and_ends_at_a_hundred():
    model = network()
    assert model.sharpness().item() == pytest.approx(10)
    with torch.no_grad():
        model.log_sharpness.fill_(9)
    assert model.sharpness().item() == pytest.approx(100)


def test_a_width_that_does_not_divide_is_refused():
    with pytest.raises(UsageError, match="--c_width 18 .* --c_heads 4"):
        network(c_width=18, c_heads=4)
