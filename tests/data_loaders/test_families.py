"""The table of families: every name in it is there, and what used to be asked of a dataset follows from its row."""

import dataclasses

import pytest
import torch

from data_loaders.families import FAMILIES, function_at
from data_loaders.registry import DATASETS
from data_loaders.representations import joint_features
from utils.geometry.skeleton import SKELETONS

ROLES = ("captions", "source", "edit", "content", "copy", "pictures", "compat")


@pytest.mark.parametrize("name", FAMILIES)
def test_every_name_in_a_row_is_there(name):
    row = FAMILIES[name]
    assert row.name == name
    for role in ROLES:
        assert row.function(role) is not None
    for place in row.evaluations.values():
        assert callable(function_at(place))
    assert row.folder.format(task="t", seed=1, model="m", step=2)


def test_widths_and_shapes():
    widths = {name: family.features(22) for name, family in FAMILIES.items()}
    assert widths == {"points2d": 44, "hml": 263, "rot6d": 138}
    assert [family.frame_shape(22) for family in FAMILIES.values()] == [(22, 2), (263,), (138,)]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_entries_of_joints(name):
    """All joints are the whole frame but for what belongs to none (of the feet, and behind the translation)."""
    joints = {"points2d": "nba", "hml": "smpl22", "rot6d": "smpl24"}[name]
    everything = torch.ones(len(SKELETONS[joints].joints), dtype=torch.bool)
    whole = joint_features(name, SKELETONS[joints], everything)
    assert whole.dtype == torch.bool and whole.all()
    assert not joint_features(name, SKELETONS[joints], ~everything).any()


def test_every_dataset_has_a_family():
    assert {spec.representation for spec in DATASETS.values()} == set(FAMILIES)
    assert {spec.name for spec in DATASETS.values() if spec.family.flat} == {"nba", "horse", "gymnastics", "mocap2d"}


def test_rows_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FAMILIES["hml"].flat = True  # type: ignore[misc]
