"""What must hold of every row of the table of datasets."""

import dataclasses
import importlib
import inspect
import subprocess
import sys

import numpy as np
import pytest

from data_loaders import registry
from data_loaders.options import AUGMENTATIONS, DataOptions
from data_loaders.points.keypoints import load_stats
from data_loaders.registry import DATASETS, dataset_defaults, dataset_spec
from diffusion.options import DiffusionOptions
from model.options import ModelOptions
from sample.options import SamplingOptions
from train.options import TrainingOptions
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import PolykineError, UsageError
from utils.run.options import RunOptions

ROWS = sorted(DATASETS)
SEEN = [name for name in ROWS if DATASETS[name].family.flat]  # by a camera
GROUPS = (RunOptions, SamplingOptions, DataOptions, ModelOptions, DiffusionOptions, TrainingOptions)
FOLDERS = {"humanml": "HumanML3D", "kit": "KIT-ML", "humanact12": "HumanAct12Poses"}


@pytest.mark.parametrize("name", ROWS)
def test_row(name):
    spec = DATASETS[name]
    assert spec.name == name and SKELETONS[spec.skeleton.name] is spec.skeleton and spec.fps > 0
    widths = {"mocap": 263, "humanml": 263, "kit": 251, "humanact12": 150, "uestc": 150}
    assert spec.features == widths.get(name, 2 * len(spec.skeleton.joints))
    assert (spec.max_frames > 0) != spec.family.flat and spec.sentences == (
        name in ("mocap2d", "mocap", "humanml", "kit")
    )


@pytest.mark.parametrize("name", SEEN)
def test_row_of_2d_motion(name, tmp_path):
    spec = DATASETS[name]
    joints = range(len(spec.skeleton.joints))
    assert spec.source_fps is None or spec.source_fps % spec.fps == 0, "frames are taken at a whole stride"
    assert spec.camera_distance > 2 and 0 <= spec.elevation < np.pi / 2 and 0 < spec.visualization_scale <= 1
    assert spec.skeleton.metres_per_unit == spec.visualization_scale, "at the camera's distance a unit is a metre"
    assert 0 <= spec.confidence_threshold < 1
    assert spec.pinned_root == -1 or spec.skeleton.parents[spec.pinned_root] == -1
    assert spec.trajectory and set(spec.trajectory) <= set(joints) and spec.ball not in spec.trajectory
    assert (spec.ball == -1) == (spec.ball_distance == 0)
    assert spec.ball == -1 or (spec.skeleton.joints[spec.ball] == "Ball" and spec.skeleton.parents[spec.ball] == -1)
    mean, std = load_stats(spec, tmp_path)
    assert mean.shape == std.shape == (len(joints), 2) and std.min() > 0 and np.abs(mean).max() < 3


@pytest.mark.parametrize("name", ROWS)
def test_lengths(name):
    spec = DATASETS[name]
    assert spec.minimum_length >= 1
    if spec.crop:
        low, high = spec.crop
        assert 1 <= low < high, "low <= frames < high of a window"
        assert low <= spec.minimum_length or spec.minimum_length == 1


@pytest.mark.parametrize("name", ROWS)
def test_loader_takes_what_load_dataset_gives_and_answers_with_our_errors(name, tmp_path):
    spec = DATASETS[name]
    module, function = spec.loader.split(":")
    parameters = list(inspect.signature(getattr(importlib.import_module(module), function)).parameters)
    assert parameters[:4] == ["spec", "options", "compat", "seed"]
    with pytest.raises(PolykineError, match=str(tmp_path)):
        registry.load_dataset(spec, DataOptions(dataset=name, datapath=str(tmp_path)))


@pytest.mark.parametrize("name", ROWS)
def test_defaults_name_real_options_with_allowed_values(name):
    fields = {item.name: item for group in GROUPS for item in dataclasses.fields(group)}
    defaults = dataset_defaults({"dataset": name})
    assert defaults == DATASETS[name].defaults and set(defaults) <= set(fields)
    for field, value in defaults.items():
        choices = fields[field].metadata["choices"]
        assert choices is None or fields[field].metadata["many"] or value in choices
    assert defaults["datapath"] == f"./dataset/{FOLDERS.get(name, name)}"
    assert set(defaults.get("data_augmentations", ())) <= set(AUGMENTATIONS)
    loader = importlib.import_module(DATASETS[name].loader.split(":")[0])
    assert set(defaults.get("data_augmentations", ())) <= set(loader.AUGMENTATIONS)
    assert set(loader.AUGMENTATIONS) <= set(AUGMENTATIONS)


@pytest.mark.parametrize("name", ROWS)
def test_actions(name):
    spec = DATASETS[name]
    assert len(set(spec.actions)) == len(spec.actions) and all(action == action.strip() for action in spec.actions)
    assert spec.num_actions("no_cond") == spec.num_actions("text") == 0
    assert spec.num_actions("action") == len(spec.actions)
    if not spec.action_shares:
        return
    assert spec.actions[-1] == "other", "labels that no class knows need a place"
    assert len(spec.action_shares) == len(spec.actions)
    assert not spec.actions or (min(spec.action_shares) > 0 and abs(sum(spec.action_shares) - 1) < 0.01)


def test_choices_of_the_flag_are_the_rows():
    (field,) = (item for item in dataclasses.fields(DataOptions) if item.name == "dataset")
    assert field.metadata["choices"] == tuple(DATASETS)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match="'amass'; choose from nba, horse, gymnastics, mocap2d, humanml"):
        dataset_spec("amass")


def test_unconstrained_means_that_the_model_is_told_nothing():
    assert dataset_defaults({"dataset": "humanml", "unconstrained": False})["cond"] == "text"
    assert dataset_defaults({"dataset": "humanml", "unconstrained": True})["cond"] == "no_cond"


def test_the_table_is_read_without_torch():
    code = "import sys, data_loaders.options; sys.exit(bool({'torch', 'matplotlib', 'cv2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
