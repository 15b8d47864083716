"""What a model is told of the end of a motion in training, and what it is charged for missing it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from data_loaders.options import DataOptions
from data_loaders.registry import dataset_spec, load_dataset
from data_loaders.representations import hml
from data_loaders.text.goals import MODES, choices, goal_joints, goals_reached, sample_goals
from diffusion.process import build_process
from model.options import GOALS, ModelOptions
from tests.commands import TINY, refusal, toy, words
from tests.dip import LAYOUT, toy_features
from tests.published import frames_first, mdm_network, tensors
from train.options import TrainingOptions
from train.tasks.diffusion import DiffusionTask
from train.tasks.terms import aims, terms
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import UsageError
from utils.run.randomness import torch_generator

HUMANML, MOCAP = dataset_spec("humanml"), dataset_spec("mocap")
TOLD = ModelOptions(multi_target_cond=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return toy(tmp_path_factory.mktemp("toy") / "mocap", "mocap", 12)


@pytest.fixture
def record(shared) -> dict:
    """The published target loss on slices of a recorded clip."""
    content = tensors(shared / "golden" / "mdm" / "losses_target.npz")
    return {name.removeprefix("target/"): value for name, value in content.items()}


def golden_batch(record: dict) -> dict[str, torch.Tensor]:
    motion = frames_first(record["x0"])
    count, frames = motion.shape[:2]
    return {
        "motion": motion, "noise": frames_first(record["noise"]), "t": record["t"],
        "mask": torch.ones(count, frames, 1), "lengths": torch.full((count,), frames),
        "prefix": frames_first(record["prefix"]),
        "text": record["text_embed"].transpose(0, 1), "text_visible": ~record["text_mask"],
    }  # fmt: skip


def stats(record: dict) -> SimpleNamespace:
    return SimpleNamespace(mean=record["mean"].numpy(), std=record["std"].numpy())


# The sets of goals that the recorded samples were told.
RECORDED = (("pelvis", "heading"), ("traj", "left_wrist"), ("heading",))


def test_a_batch_is_told_where_its_own_motion_ends(record):
    batch = golden_batch(record)
    for i, names in enumerate(RECORDED):
        training = TrainingOptions(target_joint_names=",".join(names))
        shown = aims(HUMANML, TOLD, training, stats(record))(batch, torch.Generator())
        assert shown["goal_asked"].tolist() == [[name in names for name in GOALS]] * 3
        torch.testing.assert_close(shown["goal"][i], record["target_cond"][i], atol=1e-5, rtol=0)
        assert "goal" not in batch and shown["motion"] is batch["motion"]


def test_the_published_loss_and_its_gradients(record):
    batch = golden_batch(record) | {"goal": record["target_cond"]}
    batch["goal_asked"] = torch.tensor([[name in names for name in GOALS] for names in RECORDED])
    config = json.loads(str(record["config"])) | {"njoints": 263, "nfeats": 1}
    network = mdm_network(record | {"config": json.dumps(config)}, num_heads=4)
    weighed = terms(HUMANML, TrainingOptions(lambda_target_loc=1.0), stats(record))
    task = DiffusionTask(None, build_process("cosine", 10), 3, 0, terms=weighed)
    found = task.errors(network, batch)
    assert set(found) == {"rot_mse", "target_loc", "loss"}
    for name, values in found.items():
        torch.testing.assert_close(values, record[name], rtol=2e-5, atol=1e-6)
    found["loss"].mean().backward()
    gradient = record["grad/output_process.poseFinal.weight"]
    torch.testing.assert_close(network.head.weight.grad, gradient, rtol=1e-4, atol=2e-6)


def test_only_ours_tells_back_from_front(record):
    """Half a turn costs nothing where published, and pi squared in our own dataset."""
    batch = golden_batch(record) | {"goal_asked": torch.tensor([[name == "heading" for name in GOALS]] * 3)}
    batch["goal"] = record["target_cond"].clone()
    batch["goal"][:, -1, 0] = record["heading_angle"][:, 0, -1] + torch.pi
    for spec, expected in ((HUMANML, 0.0), (MOCAP, torch.pi**2)):
        weighed = terms(spec, TrainingOptions(lambda_target_loc=1.0), stats(record))
        charged = weighed(batch["motion"], batch["motion"], batch)
        torch.testing.assert_close(charged["target_loc"], torch.full((3,), expected), atol=1e-3, rtol=0)


def test_the_last_frame_that_counts_is_the_end():
    clips = [clip[:length] for clip, length in zip(toy_features(3), (20, 31, 12), strict=True)]
    lengths = torch.tensor([len(clip) for clip in clips])
    padded = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    padded[0, 20:] = 7
    ends = goals_reached(padded, lengths, LAYOUT, GOALS)
    for end, clip in zip(ends, clips, strict=True):
        joints = hml.decode(clip, LAYOUT)[-1]
        for row, name in enumerate(GOALS[:6]):
            assert torch.equal(end[row], joints[MOCAP.skeleton.index(name)])
        assert torch.equal(end[6], joints[0] * torch.tensor((1.0, 0.0, 1.0)))
        assert torch.equal(end[7], torch.stack((hml.heading(joints, LAYOUT), torch.tensor(0.0), torch.tensor(0.0))))


def test_goals_of_kit():
    joints = goal_joints(SKELETONS["kit21"])
    assert joints["traj"] == joints["pelvis"] == "root" and set(joints) == set(GOALS) - {"heading"}
    assert (joints["left_wrist"], joints["right_foot"], joints["head"]) == ("LW", "RF", "BUN")
    with pytest.raises(UsageError, match="the skeleton nba has no goals; smpl22 and kit21 have"):
        goal_joints(SKELETONS["nba"])


@pytest.mark.parametrize(
    ("mode", "count", "some"),
    [
        ("DIMP_FINAL", 7, {"right_wrist", "heading"}),
        ("DIMP_FULL", 7, {"pelvis", "head"}),
        ("DIMP_SLIM", 5, {"left_foot", "heading"}),
        ("DIMP_BENCH", 2, {"pelvis", "heading"}),
        ("PURE_T2M", 1, set()),
        ("head, traj", 1, {"head", "traj"}),
    ],
)
def test_sets_are_drawn_evenly(mode, count, some):
    asked = sample_goals(mode, GOALS, 4000, torch_generator("goals", mode))
    assert asked.shape == (4000, 8) and asked.dtype == torch.bool
    kinds, how_often = np.unique(asked.numpy(), axis=0, return_counts=True)
    assert len(kinds) == count and np.abs(how_often * count / 4000 - 1).max() < 0.15
    assert some in [{name for name, on in zip(GOALS, kind, strict=True) if on} for kind in kinds]
    assert torch.equal(asked, sample_goals(mode, GOALS, 4000, torch_generator("goals", mode)))


def test_which_modes_ask_for_nothing_at_times():
    assert [mode for mode in MODES if () in choices(mode, GOALS)] == ["DIMP_FINAL", "PURE_T2M"]
    with pytest.raises(UsageError, match="unknown goal 'DIMP_FINALE'; did you mean DIMP_FINAL"):
        choices("DIMP_FINALE", GOALS)
    with pytest.raises(UsageError, match="unknown goal 'nose'"):
        choices("head,nose", GOALS)


def test_who_is_told_nothing():
    nothing = SimpleNamespace()
    assert aims(HUMANML, ModelOptions(), TrainingOptions(), nothing) is None
    with pytest.raises(UsageError, match="--lambda_target_loc: the model must be told"):
        aims(HUMANML, ModelOptions(), TrainingOptions(lambda_target_loc=1.0), nothing)
    for name in ("humanact12", "nba"):
        with pytest.raises(UsageError, match=f"motion of {name} has no such goals"):
            aims(dataset_spec(name), TOLD, TrainingOptions(), nothing)
    with pytest.raises(UsageError, match="unknown goal 'x'"):
        aims(HUMANML, TOLD, TrainingOptions(target_joint_names="x"), nothing)


def task_of(data, share: float = 0.0, **flags: object) -> DiffusionTask:
    """A task on toy people whose model is shown 8 frames, then makes 12."""
    training = TrainingOptions(lambda_target_loc=1.0, **flags)
    dataset = load_dataset(MOCAP, DataOptions(dataset="mocap", datapath=str(data), cond="text"), exact=20)
    return DiffusionTask(
        dataset, build_process("cosine", 10), 6, 0, terms=terms(MOCAP, training, dataset), hide=share, context=8,
        aim=aims(MOCAP, TOLD, training, dataset),
    )  # fmt: skip


def test_goals_are_seen_from_the_first_frame_that_is_made(data):
    """Not from the first that is shown; a batch of a step is always the same, and another step's is not."""
    task = task_of(data)
    batch = task.batch(3)
    assert batch["motion"].shape == (6, 12, 263) and batch["prefix"].shape == (6, 8, 263)
    features = batch["motion"] * torch.from_numpy(task.dataset.std) + torch.from_numpy(task.dataset.mean)
    ends = goals_reached(features, torch.full((6,), 12), LAYOUT, GOALS)
    assert torch.equal(batch["goal"], ends * batch["goal_asked"][..., None]) and batch["goal_asked"].any()
    again, other = task.batch(3), task.batch(4)
    assert all(torch.equal(again[name], batch[name]) for name in batch)
    assert not torch.equal(other["goal"], batch["goal"])


def test_a_perfect_model_misses_nothing(data):
    task = task_of(data)
    batch = task.batch(0)
    assert task.terms(batch["motion"], batch["motion"], batch)["target_loc"].abs().max() < 1e-6
    away = batch["motion"] + 1
    charged = task.terms(away, batch["motion"], batch)["target_loc"]
    assert torch.equal(charged > 0, batch["goal_asked"].any(1))


def test_goals_are_hidden_by_draws_of_their_own(data):
    task = task_of(data, share=0.5)
    hidden = torch.cat([task.batch(step)["goal_hidden"] for step in range(30)])
    assert 60 < int(hidden.sum()) < 120 and len(hidden) == 180


def test_training_commands_refuse(data, tmp_path, capsys):
    line = ("train.train_mdm", "--dataset mocap --datapath", data, "--save_dir", tmp_path / "run", TINY)
    said = refusal(capsys, 2, *line, "--multi_target_cond --target_joint_names", *words("head,nose"))
    assert "unknown goal 'nose'" in said and not (tmp_path / "run").exists()


def test_noise_on_sentences_is_drawn_by_the_step_and_spares_hidden_ones():
    """The vectors move by what is asked for, the same each time; a hidden sentence stays zeros."""
    words = torch.ones(64, 1, 6)
    spec, data = dataset_spec("mocap"), [0] * 64

    class Data:
        captions, weights = ["walks"], None

        def __len__(self) -> int:
            return 64

        def batch(self, indices, rng_of):
            motion = torch.zeros(len(indices), 4, spec.features)
            return {"motion": motion, "mask": motion[..., :1], "lengths": torch.tensor(data), "caption": data}

    def text(noise: float, hide: float) -> torch.Tensor:
        encode = lambda _: (words, torch.ones(64, 1, dtype=torch.bool))  # noqa: E731
        process = build_process("cosine", 10)
        return DiffusionTask(Data(), process, 64, 0, hide=hide, encode=encode, text_noise=noise).batch(3)["text"]

    assert torch.equal(text(0, 0), words) and torch.equal(text(0.5, 0), text(0.5, 0))
    assert float((text(0.1, 0) - words).std()) == pytest.approx(0.1 * (5 / 6) ** 0.5, abs=0.01)
    torch.testing.assert_close(text(0.5, 0).norm(dim=-1), words.norm(dim=-1))
    assert not text(0.5, 1).any()
