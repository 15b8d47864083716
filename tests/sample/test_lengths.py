"""Motion is as long as its sentence tells, unless somebody asks for a length."""

from dataclasses import replace

import pytest
import torch

from model.text import lengths
from sample.common.request import frames_of, make_request, tells_lengths
from sample.common.results import announcement
from sample.endless.windows import STANDING, endless_request
from sample.options import EndlessOptions, PrefixOptions
from tests.dip import Letters, dip_session

SHORT, LONG, LONGEST = "e", "eee", "eeeeeeee"  # a letter more, a second more


@pytest.fixture(autouse=True)
def a_second_for_each_letter(monkeypatch):
    """An encoder that counts letters in place of MiniLM's, and a second for each letter, and one more, for the map."""
    monkeypatch.setattr(Letters, "name", "minilm")
    monkeypatch.setattr(
        lengths, "seconds_of", lambda vectors: (vectors[:, 1:2] + 0.5) * torch.tensor([[0.5, 1.0, 2.0]]) + 1
    )


def session_of(*texts: str, context: int = 0, **flags: object):
    session = dip_session(samples=2, text_prompt=texts, **flags)
    return replace(session, model_options=replace(session.model_options, context_len=context))


def test_a_sentence_tells_a_length_between_two_and_six_seconds():
    assert make_request(session_of(LONG)).lengths.tolist() == [100] * 2
    assert make_request(session_of("e")).lengths.tolist() == [60] * 2
    assert make_request(session_of("x")).lengths.tolist() == [40] * 2
    assert make_request(session_of(LONGEST)).lengths.tolist() == [120] * 2


def test_each_line_of_a_file_has_its_own(tmp_path):
    (tmp_path / "lines.txt").write_text(f"{LONG}\n{SHORT}\n")
    session = session_of(input_text=str(tmp_path / "lines.txt"))
    request = make_request(session)
    assert request.lengths.tolist() == [100, 60]
    assert "each sentence tells how long its motion is, 3.0 to 5.0 s" in announcement(session, request)


def test_who_asks_for_a_length_gets_it():
    session = session_of(LONG, motion_length=1.5)
    assert make_request(session).lengths.tolist() == [30] * 2 and "note" not in announcement(
        session, make_request(session)
    )
    published = replace(session_of(LONG), run=replace(session_of().run, compat="published"))
    assert not tells_lengths(published) and frames_of(published, [LONG]) == [120]


def test_sentences_of_other_encoders_tell_nothing(monkeypatch):
    monkeypatch.setattr(Letters, "name", "clip")
    assert make_request(session_of(LONG)).lengths.tolist() == [120] * 2


def test_the_user_is_told_length_and_range():
    session = session_of(LONG)
    said = announcement(session, make_request(session))
    assert "note: motion of such a sentence usually takes 3.0 to 9.0 s, so it gets 5.0 s; --motion_length wins" in said
    assert said.count("note") == 1


def test_nothing_is_told_of_motion_that_is_edited_even_without_a_sentence():
    request = make_request(session_of(LONG))
    edited = replace(request, titles=["", LONG], inputs={"known": torch.zeros(2, 100, 22)})
    assert "note" not in announcement(session_of(LONG), edited)


def test_prompts_after_one_another_each_have_their_own():
    """Frames of a prompt begin where the overlap with the one before begins; each has a second of its own."""
    request = make_request(session_of(LONG, SHORT, LONG))
    assert request.segments is not None and request.segments.lengths.tolist() == [100] * 2 + [60] * 2 + [100] * 2
    assert request.lengths.tolist() == [100 + 60 + 100 - 2 * 20] * 2
    title = list(request.titles[0])
    assert title == [LONG] * 80 + [SHORT] * 40 + [LONG] * 100
    least = make_request(session_of("x", "x", "x", overlap=2.0))
    assert least.segments is not None and least.segments.lengths.tolist() == [60] * 2 + [100] * 2 + [60] * 2


def test_window_after_window_too():
    begin = PrefixOptions(prefix_motion=STANDING)
    one, _ = endless_request(session_of(LONG, context=8), begin, EndlessOptions())
    assert one.lengths.tolist() == [100] * 2
    two, _ = endless_request(session_of(LONG, SHORT, context=8), begin, EndlessOptions())
    assert two.lengths.tolist() == [160] * 2 and list(two.titles[0]) == [LONG] * 100 + [SHORT] * 60


def test_prompts_of_windows_are_as_long_as_windows(tmp_path):
    (tmp_path / "lines.txt").write_text(f"{LONG}\n{SHORT}\n")
    session = session_of(context=8)
    request, _ = endless_request(
        session, PrefixOptions(prefix_motion=STANDING), EndlessOptions(dynamic_text_path=str(tmp_path / "lines.txt"))
    )
    assert request.lengths.tolist() == [24] * 2 and "note" not in announcement(session, request)
