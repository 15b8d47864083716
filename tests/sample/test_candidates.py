"""The best of several motions of a sentence: which noise each draws, who chooses, and what is said of the choice."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from data_loaders.captioner.phases import Phase, mirrored_phases
from sample.choosing import candidates as module
from sample.choosing.candidates import best_of, captioner_scores, evaluator_scores, pieces_of, total
from sample.choosing.evaluator import SCALE, load_contrastive
from sample.common.samples import put_together, sampled_in_parts
from sample.common.session import Request
from sample.endless.windows import STANDING, endless_request, sample_endless
from sample.options import EndlessOptions, PrefixOptions
from sample.predictor import Predictor
from tests.commands import refusal, run, toy, train
from tests.dip import SPEC, dip_session, toy_features
from utils.formats import results
from utils.run.errors import NumericError

WALKS, KICKS = "a person walks", "a person kicks with the left leg"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model of whole motions of sentences."""
    bodies = toy(tmp_path_factory.mktemp("toy") / "mocap", "mocap", 9)
    flags = "--dataset mocap --text_encoder_type minilm --arch dit --lr 0.02"
    return train(tmp_path_factory.mktemp("models") / "text", bodies, flags)


def sample_like(session, request):
    """Features of toy people, as many and as long as requested."""
    clip = toy_features(1)[0][: request.frames]
    return clip.expand(len(request.lengths), -1, -1)


def scripted(*rows):
    """Scores that the captioner would give candidate after candidate."""
    given = iter(rows)
    return lambda session, samples: {"captioner": torch.tensor(next(given))}


def drawn(session, request):
    """In place of a motion the noise that it would begin with."""
    return session.compat.plain_noise(session, request)()


def test_candidates_draw_their_own_noise_and_the_first_that_of_none():
    session = dip_session(samples=2)
    request = Request(torch.full((2,), 12), titles=[WALKS, WALKS])
    draws = [drawn(session, replace(request, candidate=k)) for k in range(3)]
    torch.testing.assert_close(draws[0], drawn(session, request), atol=0, rtol=0)
    assert all((draws[a] - draws[b]).abs().max() > 0.1 for a, b in ((0, 1), (0, 2), (1, 2)))
    more = replace(request, lengths=torch.full((5,), 12), titles=[WALKS] * 5, candidate=2)
    torch.testing.assert_close(drawn(session, more)[:2], draws[2], atol=0, rtol=0)
    torch.testing.assert_close(drawn(session, more.part(slice(1, 3)))[0], draws[2][1], atol=0, rtol=0)


def test_each_motion_is_the_candidate_of_its_highest_score_the_first_of_equals():
    session, steps = dip_session(samples=3), []
    request = Request(torch.full((3,), 12), titles=[WALKS] * 3)
    draws = [drawn(session, replace(request, candidate=k)) for k in range(2)]
    chosen = best_of(drawn, 2, scripted([0.2, 0.9, 0.5], [0.3, 0.1, 0.5]))(session, request)
    assert chosen.chosen.taken.tolist() == [1, 0, 0]
    for row, candidate in enumerate((1, 0, 0)):
        torch.testing.assert_close(chosen.features[row], draws[candidate][row], atol=0, rtol=0)
    torch.testing.assert_close(chosen.chosen.total, torch.tensor([[0.2, 0.3], [0.9, 0.1], [0.5, 0.5]]))
    watched = replace(session, callback=lambda *numbers: steps.append(numbers))
    best_of(lambda s, r: s.callback(1, 1) or drawn(s, r), 2, scripted([0.0] * 3, [0.0] * 3))(watched, request)
    assert steps == [(1, 2), (2, 2)]


def test_captioner_and_evaluator_decide_together():
    captioner, evaluator = torch.tensor([[0.5, 0.6]]), torch.tensor([[0.9, 0.1]])
    assert total({"captioner": captioner}).argmax() == 1
    assert total({"captioner": captioner, "evaluator": evaluator}).argmax() == 0
    assert total({"captioner": torch.tensor([[0.1, 0.9]]), "evaluator": evaluator}).argmax() == 1


def test_the_captioner_scores_by_what_the_sentence_tells(monkeypatch):
    """The motion of a phase on the left fits the sentence of the left; its mirror image does not."""
    left = (Phase("stand", 0, 3), Phase("kick", 1, 2, side="left", count=1))
    seen = iter((left, mirrored_phases(left)))
    monkeypatch.setattr(module, "phases_of", lambda clip, fps: next(seen))
    session = dip_session(samples=2)
    request = Request(torch.full((2,), 12), titles=[KICKS] * 2)
    samples = module.as_samples(request, sample_like(session, request))
    good, bad = captioner_scores(session, samples).tolist()
    assert good > bad + 0.2


def test_several_sentences_of_one_motion_are_pieces_of_it():
    assert pieces_of(WALKS, 7) == [(WALKS, 0, 7)]
    assert pieces_of([WALKS] * 3 + [KICKS] * 4 + [WALKS], 7) == [(WALKS, 0, 3), (KICKS, 3, 7)]


def test_the_evaluator_sees_the_motion_and_its_own_sentence():
    """Cosines are those of the embeddings; a motion of two sentences has the mean of its pieces'."""
    evaluator = load_contrastive("save/evaluator/mocap_text", SPEC)
    session = dip_session()
    request = Request(torch.tensor([16, 12]), titles=[WALKS, [WALKS] * 4 + [KICKS] * 8])
    samples = module.as_samples(request, sample_like(session, request))
    found = evaluator_scores(evaluator, samples)

    def cosine(clip, text):
        motion = evaluator.embed_motion(clip[None], torch.tensor([len(clip)]))
        return float((motion * evaluator.embed_text([text], [text])).sum()) / SCALE**2

    first, second = samples.features
    pieces = cosine(second[:4], WALKS), cosine(second[4:12], KICKS)
    np.testing.assert_allclose(found, [cosine(first, WALKS), np.mean(pieces)], atol=1e-5)
    assert abs(cosine(first, WALKS)) <= 1 and cosine(first, WALKS) != cosine(first, KICKS)
    tiny = module.as_samples(Request(torch.tensor([3]), titles=[WALKS]), samples.features[:1, :3])
    assert evaluator_scores(evaluator, tiny).tolist() == [0]


def test_motion_that_is_not_finite_is_refused():
    session = dip_session(samples=1)
    broken = best_of(lambda *_: torch.full((1, 4, 263), torch.nan), 2, scripted([0.0], [0.0]))
    with pytest.raises(NumericError, match="nothing was written"):
        broken(session, Request(torch.tensor([4]), titles=[WALKS]))


def test_windows_after_one_another_have_candidates_too():
    """DiP: candidate 0 is the motion of none, window for window, and the others differ from the first window on."""
    session = dip_session(samples=1, text_prompt=(WALKS,), motion_length=1.2)
    request, _ = endless_request(session, PrefixOptions(prefix_motion=STANDING), EndlessOptions())
    plain = sample_endless(session, request).features
    first = best_of(sample_endless, 2, scripted([1.0], [0.0]))(session, request)
    other = best_of(sample_endless, 2, scripted([0.0], [1.0]))(session, request)
    torch.testing.assert_close(first.features, plain, atol=0, rtol=0)
    assert (other.features - plain).abs()[:, :4].max() > 1e-3


def test_the_command_writes_the_choice(model, tmp_path, capsys):
    """What is taken is the candidate of the highest total, whatever the parts and the batch."""
    common = ("sample.generate", "--model_path", model, "--motion_length 1.5 --threads 1 --num_samples 3")
    prompt = "--text_prompt walks"
    run(*common, prompt, "--output_dir", tmp_path / "one")
    run(*common, prompt, "--candidates 3 --output_dir", tmp_path / "three")
    assert "of 3 candidates each, taken: " in capsys.readouterr().out
    run(*common, prompt, "--candidates 3 --max_batch 1 --output_dir", tmp_path / "again")
    one, three, again = (results.load(tmp_path / name / "results.npy") for name in ("one", "three", "again"))
    assert "candidates" not in one
    chosen = three["candidates"]
    assert set(chosen) == {"taken", "total", "captioner", "evaluator"} and chosen["total"].shape == (3, 3)
    np.testing.assert_array_equal(chosen["taken"], chosen["total"].argmax(1))
    np.testing.assert_allclose(chosen["total"], chosen["captioner"] + 0.5 * chosen["evaluator"], atol=1e-6)
    np.testing.assert_allclose(three["features"], again["features"], atol=1e-4)
    same = [bool(np.abs(a - b).max() < 1e-4) for a, b in zip(one["features"], three["features"], strict=True)]
    assert same == (chosen["taken"] == 0).tolist()


def test_parts_are_put_together_with_their_choices(monkeypatch):
    monkeypatch.setattr("sample.common.samples.PART", 2)
    session = dip_session(samples=3)
    request = Request(torch.full((3,), 12), titles=[WALKS] * 3)
    scores = iter(([0.0, 1.0], [1.0, 0.0], [0.0], [1.0]))
    sample = best_of(drawn, 2, lambda *_: {"captioner": torch.tensor(next(scores))})
    together = put_together(list(sampled_in_parts(session, request, sample)))
    assert together.chosen.taken.tolist() == [1, 0, 1] and together.chosen.total.shape == (3, 2)
    draws = [drawn(session, replace(request, candidate=k)) for k in range(2)]
    torch.testing.assert_close(together.features, torch.stack([draws[k][i] for i, k in enumerate((1, 0, 1))]))


def test_the_predictor_takes_candidates(model):
    plain, best = (Predictor(model, candidates=count).motions(WALKS, 1)[0] for count in (1, 3))
    assert plain.positions.shape == best.positions.shape


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--cond no_cond", "are chosen by their sentence"),
        ("--compat published", "the published programs make one motion"),
    ],
)
def test_what_no_sentence_chooses_among_is_refused(model, tmp_path, capsys, flags, said):
    line = ("sample.generate", "--model_path", model, "--output_dir", tmp_path / "out", "--candidates 2", flags)
    assert said in refusal(capsys, 2, *line, "--motion_length 1")
    assert not (tmp_path / "out").exists()
