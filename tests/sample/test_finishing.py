"""What becomes of motions once they are sampled: feet that are held, by default or not, and what is written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.representations import hml
from sample.choosing.finishing import finished, held
from sample.common.contents import features_content
from sample.common.samples import put_together, sampled_in_parts, samples_of
from sample.common.session import Request
from sample.options import (
    TEXT_MODEL,
    FinishOptions,
    GenerateLine,
    check_finish,
    defaults_of_generate,
    holds_feet,
    parse_sampling_line,
)
from sample.predictor import Predictor
from tests.commands import refusal, run, toy, train
from tests.dip import LAYOUT, SPEC, dip_session
from tests.people import drifting
from utils.formats import results
from utils.geometry.contacts import sliding
from utils.geometry.kinematics import global_rotations
from utils.run.errors import UsageError

FEET = [(7, 10), (8, 11)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model of whole motions of sentences."""
    bodies = toy(tmp_path_factory.mktemp("toy") / "mocap", "mocap", 9)
    flags = "--dataset mocap --text_encoder_type minilm --arch dit --lr 0.02"
    return train(tmp_path_factory.mktemp("models") / "text", bodies, flags)


def gliding(frames: int = 40) -> torch.Tensor:
    """Features [1, T, 263] of a person who stands and glides to and fro."""
    return hml.encode([torch.from_numpy(drifting(frames + 1)).float()], LAYOUT, **SPEC.encoding)[0][None]


def test_joints_are_held_and_features_stay():
    session, features = dip_session(samples=1), gliding()
    samples = samples_of(Request(torch.tensor([30]), titles=["walks"]), features)
    found = held(session, samples)
    raw, placed = session.joints(features)[0, :30].numpy(), found.joints(session)[0, :30].numpy()
    assert sliding(placed, SPEC.fps, FEET) < 0.3 * sliding(raw, SPEC.fps, FEET)
    assert found.features is features
    np.testing.assert_array_equal(found.joints(session)[0, 30:], session.joints(features)[0, 30:])


def test_what_is_written_is_both_motions_and_the_rotations_of_the_held_one():
    session = replace(dip_session(samples=1), path=Path(__file__))
    samples = samples_of(Request(torch.tensor([40]), titles=["walks"]), gliding())
    plain, content = (features_content(session, each) for each in (samples, held(session, samples)))
    np.testing.assert_array_equal(content["motion_raw"], plain["motion"])
    assert "motion_raw" not in plain and np.abs(content["motion"] - plain["motion"]).max() > 0.01
    np.testing.assert_array_equal(content["features"], plain["features"])
    parents = SPEC.skeleton.parents

    def off(written):
        """How far (radians) the bones that end at knees and ankles point from where their rotations say."""
        world = global_rotations(torch.from_numpy(written["rotations"]), parents)[0]
        joints = written["motion"][0].transpose(2, 0, 1)
        angles = []
        for joint in (4, 5, 7, 8):
            bone = joints[:, joint] - joints[:, parents[joint]]
            told = (world[:, joint] @ torch.tensor(LAYOUT.rest[joint]).float()).numpy()
            angles.append(np.arccos(np.clip((bone * told).sum(-1) / np.linalg.norm(bone, axis=-1), -1, 1)))
        return np.max(angles)

    assert off(plain) < 0.01 and off(content) < 0.01
    assert off({**content, "rotations": plain["rotations"]}) > 0.02


def test_motion_of_which_something_was_given_or_that_is_not_finite_stays():
    session, features = dip_session(samples=1), gliding()
    samples = samples_of(Request(torch.tensor([40]), titles=["walks"]), features)
    given = replace(samples, known=torch.zeros(1, 40, 22, dtype=torch.bool))
    broken = replace(samples, features=features * torch.nan)
    assert held(session, given) is given and held(session, broken) is broken


def test_parts_are_put_together_held(monkeypatch):
    monkeypatch.setattr("sample.common.samples.PART", 1)
    session, features = dip_session(samples=2), gliding()
    request = Request(torch.tensor([40, 40]), titles=["walks", "walks"])
    sample = finished(session, lambda *_: features, candidates=1, hold=True)
    together = put_together(list(sampled_in_parts(session, request, sample)))
    alone = sample(session, request.part(slice(0, 1)))
    assert together.placed is not None and together.turned is not None and alone.placed is not None
    assert together.placed.shape == (2, 40, 22, 3) and together.turned.shape == (2, 40, 22, 3, 3)
    torch.testing.assert_close(together.placed[0], alone.placed[0])


def line_of(*flags: str) -> GenerateLine:
    return parse_sampling_line(GenerateLine, "sample.generate", "", flags, TEXT_MODEL, defaults=defaults_of_generate)


def test_feet_are_held_by_default_where_the_model_is_ours():
    def holds(*flags: str) -> bool:
        line = line_of(*flags)
        return holds_feet(line.finish, line)

    assert holds() and holds("--model_path", "save/mocap_dip") and not holds("--hold_feet", "False")
    assert not holds("--compat", "published") and holds("--compat", "published", "--hold_feet")
    assert not holds("--arch", "trans_enc") and holds("--arch", "trans_enc", "--hold_feet")
    assert not holds("--model_path", "save/mocap2d") and not holds("--cond", "no_cond")
    with pytest.raises(UsageError, match="motion of people in the world"):
        check_finish(FinishOptions(hold_feet=True), line_of("--model_path", "save/mocap2d"))


def test_the_commands_hold_feet_and_refuse_what_has_none_in_the_world(model, tmp_path, capsys):
    common = ("sample.generate", "--model_path", model, "--motion_length 1.5 --threads 1 --num_samples 1")
    prompt = "--text_prompt walks"
    run(*common, prompt, "--output_dir", tmp_path / "held")
    run(*common, prompt, "--hold_feet False --output_dir", tmp_path / "raw")
    with_feet, without = (results.load(tmp_path / name / "results.npy") for name in ("held", "raw"))
    assert "motion_raw" not in without
    np.testing.assert_allclose(with_feet["motion_raw"], without["motion"], atol=1e-6)
    np.testing.assert_array_equal(with_feet["features"], without["features"])
    said = refusal(capsys, 2, "sample.generate", "--model_path save/mocap2d --hold_feet --output_dir", tmp_path / "no")
    assert "--hold_feet" in said and not (tmp_path / "no").exists()
    with_feet, without = (Predictor(model, hold_feet=hold).motions("walks", 1)[0] for hold in (None, False))
    assert with_feet.positions.shape == without.positions.shape
