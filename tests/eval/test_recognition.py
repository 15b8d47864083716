"""The classifier of kinds of motion: on toy people whose kinds are easy to tell, and its parts by closed form."""

import json

import numpy as np
import pytest
import torch

from data_loaders.representations import hml
from data_loaders.text.humanml import take_of
from eval.recognition import classifier as recognition
from eval.recognition.classifier import KINDS, Windows, accuracy, confusion, cross_confusion, describe, kinds_of
from tests.commands import run
from utils.run.errors import DataError, MissingFileError

LAYOUT = hml.layout_of("smpl22")
FPS = 20.0
WALK, WAVE, PUNCH, KICK = (KINDS.index(name) for name in ("walk", "wave", "punch", "kick"))


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A folder of toy people, half of them mirrored."""
    folder = tmp_path_factory.mktemp("toy") / "mocap"
    run("prepare.toy_motion", "--dataset mocap --num_motions 48", "--output_dir", folder)
    return folder


@pytest.fixture(scope="module")
def parts(toy):
    return tuple(recognition.load_real(toy, part) for part in ("train", "test"))


@pytest.fixture(scope="module")
def drawn(parts):
    return recognition.draw_windows(parts[0], 0, each=12)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Little is learnt from little: toy people are easy to tell apart."""
    monkeypatch.setattr(recognition, "STEPS", 50)
    monkeypatch.setattr(recognition, "NETWORKS", 2)


def names(kinds) -> list[str]:
    return [KINDS[kind] for kind in kinds]


def test_labels_become_kinds():
    assert names(kinds_of(["walking"])) == ["walk"] and names(kinds_of(["jog", "run"])) == ["run"]
    assert names(kinds_of(["dance", "salsa"])) == ["dance"] and names(kinds_of(["pirouette", "turn"])) == ["dance"]
    assert names(kinds_of(["kick", "soccer"])) == ["kick"] and names(kinds_of(["stairs"])) == ["climb"]
    assert names(kinds_of(["kata", "punch", "kick"])) == ["punch", "kick"]
    assert names(kinds_of(["sword"])) == ["swing"] and names(kinds_of(["climb", "swing"])) == ["climb"]
    assert kinds_of(["exercise", "jump"]) == []
    assert names(kinds_of(["basketball_signal"])) == ["direct traffic"]
    assert kinds_of([]) == [] and kinds_of(["gesture", "never heard of"]) == []
    for name in KINDS:
        assert names(kinds_of([name])) == [name]


def test_a_clip_its_mirror_image_and_its_parts_are_one_take():
    assert len({take_of(name) for name in ("cmu_1_p0", "cmu_1_p1", "Mcmu_1_p0", "Mcmu_1_p11#3", "cmu_1")}) == 1
    assert take_of("cmu_1_p0") != take_of("cmu_11_p0") and take_of("a_part") == "a_part"


def test_a_description_knows_neither_place_nor_heading_nor_fast_shaking(parts):
    clip = parts[0].window(0, 0, 50).astype(np.float64)
    told = describe(clip, FPS, LAYOUT)
    assert told.shape == (414,) and told.dtype == np.float32
    cos, sin = np.cos(2.1), np.sin(2.1)
    turned = clip @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]]) + (3, 0, -5)
    np.testing.assert_allclose(describe(turned, FPS, LAYOUT), told, atol=2e-4)
    shaken = clip + 0.03 * np.cos(np.pi * 45 * (np.arange(50) + 0.5) / 50)[:, None, None]
    np.testing.assert_allclose(describe(shaken, FPS, LAYOUT), told, atol=1e-4)
    assert np.abs(describe(clip * (1, 1.1, 1), FPS, LAYOUT) - told).max() > 0.01


def test_the_root_figures_of_a_person_who_walks_in_a_line():
    """1.5 m/s ahead, 0.5 m/s to the left of where the body faces."""
    root = np.outer(np.arange(41) / FPS, (1.5, 0, -0.5)) + (0, 0.9, 0)
    found = recognition._root_figures(root, np.full(41, np.pi / 2), FPS)
    aside, ahead, ahead_size, varied, up, turning, turned, gained, rise = found
    assert (aside, ahead, ahead_size) == pytest.approx((0.5, 1.5, 1.5))
    assert (varied, up, turning, turned, rise) == pytest.approx((0, 0, 0, 0, 0), abs=1e-9)
    assert gained == pytest.approx(np.hypot(1.5, 0.5) * 40 / 41)
    root[:, 1] += 0.1 * np.arange(41) / FPS
    found = recognition._root_figures(root, np.pi / 2 - np.arange(41) / FPS, FPS)
    assert found[4] == pytest.approx(0.1) and found[8] == pytest.approx(0.2)
    assert found[5] == pytest.approx(1.0) and found[6] == pytest.approx(1.0)


def test_amplitudes_fall_into_their_bands():
    """x = 0.2 cos(2 pi f t) has the amplitude 0.2 / sqrt 2 in the band of f and none elsewhere."""
    time = (np.arange(100) + 0.5) / 100
    for band, half_periods in ((0, 4), (1, 8), (2, 15), (3, 30)):
        body = np.zeros((100, 1, 3))
        body[..., 0] = 0.2 * np.cos(np.pi * half_periods * time)[:, None]
        found = np.exp(np.stack(recognition._amplitudes(body, FPS)))[:, 0] - 1e-3
        expected = np.zeros(4)
        expected[band] = 0.2 / 2**0.5
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_windows_are_drawn_evenly_and_again_alike(parts, drawn):
    there = sorted({kind for shown in parts[0].shown for kind in shown})
    assert len(there) >= 4 and np.unique(drawn.kind).tolist() == there
    assert (np.bincount(drawn.kind)[there] == 12).all()
    assert drawn.shown[np.arange(len(drawn.kind)), drawn.kind].all()
    again = recognition.draw_windows(parts[0], 0, each=12)
    np.testing.assert_array_equal(drawn.features, again.features)
    assert not np.array_equal(drawn.features, recognition.draw_windows(parts[0], 1, each=12).features)


def test_equal_windows_cut_clips_end_to_end(parts):
    real = parts[0]
    kind = real.shown[0][0]
    windows = recognition.equal_windows(real, kind, 40, 10_000)
    frames = real.motions.frames[recognition._items(real, kind)]
    assert len(windows) == sum(max(1, int(have) // 40) for have in frames)
    assert {len(clip) for _, clip in windows} == {40}, "toy clips have more frames than that"
    first = [clip for item, clip in windows if item == windows[0][0]]
    whole = real.window(windows[0][0], 0, 40)
    np.testing.assert_array_equal(first[0], whole)
    few = recognition.equal_windows(real, kind, 40, 3)
    assert [item for item, _ in few] == [windows[k][0] for k in (0, round((len(windows) - 1) / 2), len(windows) - 1)]
    assert len(recognition.equal_windows(real, kind, 10_000, 5)[0][1]) in frames


def test_toy_kinds_are_told_apart_on_people_not_seen(parts, drawn):
    recogniser = recognition.train(drawn, 0, FPS, LAYOUT)
    held_out = recognition.all_windows(parts[1], 60, 10)
    overall, balanced, shares = accuracy(confusion(recogniser, held_out))
    assert overall > 0.9 and balanced > 0.9 and (~np.isnan(shares)).sum() >= 3
    again = recognition.train(drawn, 0, FPS, LAYOUT)
    for one, other in zip(recogniser.networks, again.networks, strict=True):
        np.testing.assert_array_equal(one(_rows(drawn)).detach(), other(_rows(drawn)).detach())
    assert not torch.equal(recogniser.networks[0](_rows(drawn)), recogniser.networks[1](_rows(drawn)))
    clips = [clip for _, clip in recognition.equal_windows(parts[1], int(held_out.kind[0]), 60, 3)]
    assert recogniser(clips).tolist() == recogniser.kinds(held_out.features[: len(clips)]).tolist()


def _rows(windows: Windows):
    return recognition._scaled(windows.features[:5], windows.features.mean(0), windows.features.std(0) + 1e-3)


def test_takes_are_left_out_in_turn(parts, drawn):
    recogniser = recognition.train(drawn, 0, FPS, LAYOUT)
    measured = recognition.all_windows(parts[0], 60, 1000)
    seen = []

    def spy(windows, *_):
        seen.append(set(windows.take))
        return recogniser

    before, recognition.train = recognition.train, spy
    try:
        table = cross_confusion(drawn, measured, 3, 0, recogniser)
    finally:
        recognition.train = before
    assert table.sum() == len(measured.kind), "each window is measured once"
    assert len(seen) == 3
    for name in set(drawn.take):
        assert sum(name in learnt for learnt in seen) == 2, "left out once"


def test_the_networks_vote_with_their_probabilities():
    """One that is sure of a wave against two that lean towards a punch."""
    sure, leaning = torch.zeros(1, len(KINDS)), torch.zeros(1, len(KINDS))
    sure[:, WAVE], leaning[:, PUNCH] = 20.0, 0.5
    networks = tuple(map(Says, (sure, leaning, leaning)))
    recogniser = recognition.Recogniser(np.zeros(1), np.ones(1), networks, FPS, LAYOUT)
    assert recogniser.kinds(np.zeros((1, 1), np.float32)).tolist() == [WAVE]
    recogniser = recognition.Recogniser(np.zeros(1), np.ones(1), networks[1:], FPS, LAYOUT)
    assert recogniser.kinds(np.zeros((1, 1), np.float32)).tolist() == [PUNCH]


class Says(torch.nn.Module):
    """A network that always says the same."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, _):
        return self.answer


class Fixed:
    """A classifier that says what it is told."""

    def __init__(self, kinds):
        self.kinds = lambda _: np.array(kinds)


def test_a_window_of_two_kinds_may_be_taken_for_either():
    shown = np.zeros((4, len(KINDS)), bool)
    shown[:, WALK] = (True, True, False, False)
    shown[2, [PUNCH, KICK]] = shown[3, [PUNCH, KICK]] = True
    windows = Windows(np.zeros((4, 1)), np.array([WALK, WALK, PUNCH, PUNCH]), shown, np.array(list("abcd")))
    table = confusion(Fixed([WALK, WAVE, KICK, WALK]), windows)  # type: ignore[arg-type]
    assert table.sum() == 4
    assert table[WALK, WALK] == table[WALK, WAVE] == table[PUNCH, PUNCH] == table[PUNCH, WALK] == 1
    table[WALK, WALK] += 2
    overall, balanced, shares = accuracy(table)
    assert overall == pytest.approx(4 / 6) and balanced == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert shares[WALK] == 0.75 and np.isnan(shares[KICK])


def test_what_is_missing_is_said(toy, tmp_path):
    with pytest.raises(MissingFileError, match="prepare.humanml"):
        recognition.load_real(tmp_path, "train")
    index = toy / "index.json"
    content = json.loads(index.read_text())
    for clip in content["clips"].values():
        del clip["actions"]
    index.write_text(json.dumps(content))
    with pytest.raises(DataError, match="must tell the actions"):
        recognition.load_real(toy, "train")
