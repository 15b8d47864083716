"""Going over from one motion into another: no jump, both ends as they were, speeds that fit the positions."""

import numpy as np
import pytest
import torch

from data_loaders.options import DataOptions
from data_loaders.points.toy import body_motion
from data_loaders.registry import dataset_spec
from data_loaders.representations import hml
from data_loaders.text.transitions import BLEND, fade, gone_over
from tests.commands import refusal, run
from utils.run.randomness import numpy_rng

LAYOUT = hml.layout_of("smpl22")


@pytest.fixture(scope="module")
def clips() -> tuple[np.ndarray, np.ndarray]:
    """Twenty frames of one toy motion and forty of another, in features."""
    one, other = (torch.from_numpy(body_motion(20, 0, index)[0]).float() for index in (0, 3))
    features = hml.encode([one, other], LAYOUT, **dataset_spec("mocap").encoding)
    return features[0][:20].numpy(), features[1][10:50].numpy()


def test_the_difference_fades_smoothly():
    left = fade(40)
    assert 0.9 < left[0] < 1 and not left[BLEND:].any() and (np.diff(left) <= 0).all()
    assert abs(np.diff(left, 2)).max() < 0.05, "no kink"


def test_the_joint_is_smooth_and_the_end_is_the_second_motion(clips):
    before, after = clips
    made = gone_over(before, after, LAYOUT)
    np.testing.assert_array_equal(made[BLEND:], after[BLEND:])
    joined, cut = (
        hml.decode(torch.from_numpy(np.concatenate((before, rest))), LAYOUT).diff(n=2, dim=0).norm(dim=-1).amax(-1)
        for rest in (made, after)
    )
    largest = max(float(joined[:17].max()), float(joined[36:].max()))
    assert float(cut[18:20].max()) > 2 * largest, "set side by side they jump"
    assert float(joined[17:36].max()) < 2 * largest


def test_the_speeds_are_those_of_the_positions(clips):
    """What the velocity features say is what the decoded joints do, to the turn of the body in a frame."""
    features = torch.from_numpy(gone_over(*clips, LAYOUT))
    said = features[:-1, hml.blocks(LAYOUT)["velocity"]].unflatten(-1, (22, 3)).norm(dim=-1)
    done = hml.decode(features, LAYOUT).diff(dim=0).norm(dim=-1)
    assert float((said - done).abs().max()) < 0.012 and float((said - done).abs().mean()) < 0.002


def test_a_loader_makes_them_for_models_that_are_shown_the_frames_before(tmp_path, capsys):
    run("prepare.toy_motion", "--dataset mocap --num_motions 12", "--output_dir", tmp_path / "toy")
    from data_loaders.text import humanml

    spec = dataset_spec("mocap")
    plain, varied = (
        humanml.load(
            spec, DataOptions(dataset="mocap", datapath=str(tmp_path / "toy"), data_augmentations=names),
            exact=30, context=10,
        )
        for names in ((), ("transition_aug",))
    )  # fmt: skip
    indices = list(range(len(plain))) * 4
    one, other = (data.batch(indices, lambda k: numpy_rng(0, k)) for data in (plain, varied))
    changed = (one["motion"] != other["motion"]).flatten(1).any(1)
    assert 0.15 < changed.float().mean() < 0.6 and torch.equal(one["caption"], other["caption"])
    torch.testing.assert_close(one["motion"][:, 10 + BLEND :], other["motion"][:, 10 + BLEND :])
    flags = "--dataset mocap --data_augmentations transition_aug --datapath"
    line = refusal(capsys, 2, "train.train_mdm", flags, tmp_path / "toy", "--save_dir", tmp_path / "run")
    assert "add --context_len" in line
