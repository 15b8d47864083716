"""The evaluation of action models: what is evaluated, figures by closed form, laws, and the published files."""

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.registry import dataset_spec
from diffusion.options import DiffusionOptions
from diffusion.process import build_process
from eval.action import record as action_record
from eval.action import scores as action_scores
from eval.action.evaluators import REAL_POSES, load_real_poses, load_recognisers
from eval.action.scores import multimodality, pose_metrics, prepared
from eval.metrics import distances as metrics
from model.denoisers.build import build_denoiser
from model.evaluators.action_recognition import FILES
from model.options import ModelOptions
from sample.common.session import Session
from sample.options import SamplingOptions
from tests.toys import humanact12_folder, uestc_folder
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError
from utils.run.options import RunOptions
from utils.run.randomness import numpy_rng

SPEC = dataset_spec("humanact12")


def recogniser_files(folder: Path) -> Path:
    """The three published files with random weights of a spread that tells motions apart."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in FILES.values():
        with torch.random.fork_rng():
            torch.manual_seed(1)
            torch.save({"model": file.build().state_dict()}, folder / file.name)
    return folder


def real_poses(folder: Path, count: int = 30) -> None:
    """Real motions that models without a condition are held against."""
    rng = np.random.RandomState(0)
    np.save(folder / REAL_POSES, rng.normal(size=(count, 16, 3, 64)).astype(np.float32).cumsum(-1) / 8)


@pytest.fixture(scope="module")
def recognisers(tmp_path_factory) -> Path:
    return recogniser_files(tmp_path_factory.mktemp("recognisers"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("acts")
    options = humanact12_folder(folder, clips=30)
    real_poses(folder)
    return options


class Nonsense(torch.nn.Module):
    """A network that answers NaN."""

    def forward(self, x, step, condition):
        return x * np.nan


def session_of(options, cond: str = "action", seed: int = 0, network: torch.nn.Module | None = None, **run) -> Session:
    """A session on a tiny network of random weights."""
    spec, options = dataset_spec(options.dataset), dataclasses.replace(options, cond=cond)
    model = ModelOptions(layers=1, latent_dim=16, num_heads=2, ff_size=16, cond_mask_prob=0.1)
    if network is None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = build_denoiser(model, spec.features, spec.num_actions(cond), encoder_hides=False).eval()
    return Session(
        RunOptions(seed=seed, **run), SamplingOptions(model_path="none"), options, model,
        DiffusionOptions(diffusion_steps=4), spec, build_process("cosine", 4), network,
        torch.zeros(150), torch.ones(150), torch.device("cpu"), Path("model000000020.pt"),
    )  # fmt: skip


def evaluate(session: Session, recognisers, samples: int, seeds: int) -> dict[str, list[float]]:
    """The metrics of a model, here and now."""
    evaluation = prepared(session, recognisers, samples, seeds)
    return evaluation.scores(evaluation.gather())


def scored(options, recognisers, samples=12, seeds=2, **flags) -> dict[str, list[float]]:
    session = session_of(options, **flags)
    return evaluate(session, load_recognisers(session.spec, session.data, recognisers, "free"), samples, seeds)


def test_every_figure_of_an_action_model(data, recognisers):
    values = scored(data, recognisers)
    assert set(values) == {
        f"{name}_{subject}"
        for name in ("accuracy", "diversity", "multimodality", "fid")
        for subject in ("gen", "gt", "gt2")
    }
    assert all(len(each) == 2 and np.isfinite(each).all() and each[0] >= 0 for each in values.values())
    assert values["fid_gt"] == pytest.approx([0, 0], abs=1e-6) and min(values["fid_gt2"]) > 1e-6
    assert min(values["fid_gen"]) > max(values["fid_gt2"]), "noise is further from real motion than real motion"
    assert values["diversity_gt"][0] != values["diversity_gt"][1], "seeds are sets of their own"


def test_two_of_uestc(tmp_path, recognisers):
    """Both parts, each with its own motion."""
    values = scored(uestc_folder(tmp_path, clips=24), recognisers, samples=6, seeds=1)
    expected = {f"{subject}_{part}" for subject in ("gen", "gt", "gt2") for part in ("train", "test")}
    assert {key.split("_", 1)[1] for key in values} == expected
    assert len(values) == 24 and values["diversity_gen_train"] != values["diversity_gen_test"]


def test_a_model_told_nothing(data, recognisers):
    values = scored(data, recognisers, cond="no_cond", seeds=1)
    assert {key for key in values if "gen" in key or "unconstrained" in key} == {
        "diversity_gen", "fid_gen", "fid_unconstrained", "kid_unconstrained", "diversity_gen_unconstrained",
        "diversity_gt_unconstrained", "precision_unconstrained", "recall_unconstrained",
    }  # fmt: skip
    assert {"accuracy_gt", "multimodality_gt2"} <= set(values), "real motion has actions"
    assert all(np.isfinite(each).all() for each in values.values())


def test_the_recogniser_sees_the_joints_of_the_file(data, recognisers):
    """In the axes of the file, from where the root is first; the figure by hand."""
    session = session_of(data)
    evaluators = load_recognisers(SPEC, session.data, recognisers, "free")
    evaluation = prepared(session, evaluators, 12, 1)
    work = evaluation.units()
    found = work["gt2_00_000"]()
    content = pickle.loads((Path(data.datapath) / "humanact12poses.pkl").read_bytes())
    motions, labels = [], []
    for place, i in enumerate(evaluation.drawn("", "gt2", 0)):
        window = evaluation.real[""].window(i, numpy_rng(evaluation.seed("", 0), "window", "gt2", place))
        joints = content["joints3D"][i][window]
        motions.append(joints - joints[:1, :1])
        labels.append(content["y"][i])
    with torch.no_grad():
        embeddings, logits = evaluators.actions(torch.from_numpy(np.stack(motions)), torch.full((12,), 60))
    np.testing.assert_allclose(found["embeddings"], embeddings, atol=1e-5)
    by_hand = float((logits.argmax(1).numpy() == labels).mean())
    assert evaluation.metrics_of("", 0, lambda name: work[name]())["accuracy_gt2"] == by_hand


def test_what_is_generated_is_told_the_actions_of_gt(data, recognisers):
    session = session_of(data)
    evaluation = prepared(session, load_recognisers(SPEC, session.data, recognisers, "free"), 30, 2)
    assert sorted(evaluation.drawn("", "gt", 0)) == list(range(30)), "no motion twice"
    labels = [evaluation.labels("", subject, 0).tolist() for subject in ("gen", "gt", "gt2")]
    assert labels[0] == labels[1] != labels[2] and labels[1] != evaluation.labels("", "gt", 1).tolist()


class Listening(torch.nn.Module):
    """A network that makes nothing, and remembers what it was shown and told."""

    def __init__(self):
        super().__init__()
        self.shown, self.told = [], []

    def forward(self, x, step, condition):
        self.shown.append(x)
        self.told.append(condition["action"])
        return torch.zeros_like(x)


def test_the_model_is_told_the_actions_and_every_set_begins_with_noise_of_its_own(tmp_path, recognisers):
    listening = Listening()
    session = session_of(uestc_folder(tmp_path, clips=24), network=listening)
    evaluation = prepared(session, load_recognisers(session.spec, session.data, recognisers), 6, 2)
    begun = []
    for ending in ("_train", "_test"):
        for k in range(2):
            listening.shown.clear()
            listening.told.clear()
            evaluation.generated(ending, "gen", k, slice(2, 5))
            assert listening.told[0][-3:].tolist() == evaluation.labels(ending, "gen", k)[2:5].tolist()
            begun.append(listening.shown[0][-3:])
    assert min(float((x - y).abs().max()) for i, x in enumerate(begun) for y in begun[:i]) > 1


def test_nothing_depends_on_the_parts_or_the_number_of_seeds(data, recognisers, monkeypatch):
    whole = scored(data, recognisers, seeds=2)
    monkeypatch.setattr(action_scores, "UNIT_ROWS", 5)
    parts = scored(data, recognisers, seeds=1)
    for key, values in parts.items():
        assert values == pytest.approx(whole[key][:1], rel=1e-4, abs=1e-6), key
    assert scored(data, recognisers, seeds=1, seed=1)["diversity_gen"] != parts["diversity_gen"]


def test_the_published_start_of_the_recurrent_network_is_drawn(data, recognisers):
    zeros = scored(data, recognisers, seeds=1)
    drawn = scored(data, recognisers, seeds=1, compat="published")
    assert drawn == scored(data, recognisers, seeds=1, compat="published"), "by the seed"
    assert drawn["fid_gt2"] != zeros["fid_gt2"]


def test_the_same_seed_gives_the_same_figures(data, recognisers):
    assert scored(data, recognisers) == scored(data, recognisers)


def test_multimodality_is_over_the_actions_that_are_there(capsys):
    embeddings = np.array([[0.0, 0], [3, 4], [10, 10], [10, 10], [7, 7]])
    labels = np.array([1, 1, 4, 4, 9])
    draws = np.random.RandomState(0)
    found = multimodality(embeddings, labels, draws)
    pairs = metrics.draw_labelled_pairs(np.array([0, 0, 1, 1]), 20, np.random.RandomState(0))
    different = (pairs[0][:20] != pairs[1][:20]).mean()
    assert found == pytest.approx(5 * different / 2), "one of two actions has a spread; the lone one does not count"
    assert multimodality(embeddings[[0, 2]], np.array([1, 4]), draws) == 0
    assert "no action comes twice among 2 motions" in capsys.readouterr().err


def test_poses_against_themselves_and_against_others():
    rng = np.random.RandomState(0)
    real = rng.normal(size=(40, 6))
    same = pose_metrics(real, real, np.random.RandomState(1))
    assert same["fid_unconstrained"] == pytest.approx(0, abs=1e-9)
    assert same["precision_unconstrained"] == same["recall_unconstrained"] == 1
    far = pose_metrics(real[:20] + 50, real, np.random.RandomState(1))
    assert far["fid_unconstrained"] > 1000 and far["precision_unconstrained"] == far["recall_unconstrained"] == 0
    assert far["kid_unconstrained"] > same["kid_unconstrained"]


def test_real_poses_are_seen_from_the_pelvis(data):
    poses = load_real_poses(SPEC, data)
    stored = np.load(Path(data.datapath) / REAL_POSES)
    assert poses.shape == (30, 64, 15, 3)
    np.testing.assert_allclose(poses[3, 7], stored[3, :15, :, 7] - stored[3, 8, :, 7], atol=1e-6)


VALUES = {"fid_gen": [0.1234567, 12.0], "kid_unconstrained": [1e-5, -2.5e-7], "accuracy_gt": [1e6, 0.0]}
YAML = """\
feats:
  accuracy_gt:
  - 1e+06
  - '0.0'
  fid_gen:
  - '0.123457'
  - '12.0'
  kid_unconstrained:
  - 1e-05
  - '-2.5e-07'
"""


def test_the_published_figures():
    assert action_record.yaml_text(VALUES) == YAML


def test_the_published_figures_as_pyyaml_writes_them():
    yaml = pytest.importorskip("yaml")
    numbers = np.random.RandomState(0).normal(size=(40,)) * 10.0 ** np.arange(-20, 20)
    values = {f"key_{i % 3}": [*numbers[i::3].tolist(), 1.0, 1e-4, 1e16, 0.0] for i in range(3)} | VALUES
    texts = {"feats": {key: [f"{value:.6}" for value in each] for key, each in values.items()}}
    assert action_record.yaml_text(values) == yaml.dump(texts)


@pytest.mark.parametrize(
    ("flags", "cond", "name"),
    [
        ({}, "action", "iter20_samp50_scale2p5"),
        ({"guidance_param": 1.0}, "action", "iter20_samp50_scale1"),
        ({"guidance_param": 2.0}, "action", "iter20_samp50_scale2p0"),
        ({}, "no_cond", "iter20_samp50_scale1"),
    ],
)
def test_the_published_name(data, flags, cond, name):
    session = session_of(data, cond)
    session = dataclasses.replace(session, sampling=dataclasses.replace(session.sampling, **flags))
    assert action_record.stem_of(session, 50) == Path(f"evaluation_results_{name}_a2m")
    elsewhere = dataclasses.replace(session.sampling, output_dir="out")
    assert action_record.stem_of(dataclasses.replace(session, sampling=elsewhere), 50).parent == Path("out")


def test_keys_as_rows_and_columns():
    keys = ("fid_gen_train", "fid_gt2_test", "accuracy_gt", "kid_unconstrained", "diversity_gt_unconstrained")
    rows = action_scores.rows_of({key: [float(i)] for i, key in enumerate(keys)})
    assert rows == {
        "gen": {"fid_train": [0.0], "kid_unconstrained": [3.0]},
        "gt": {"accuracy": [2.0], "diversity_unconstrained": [4.0]},
        "gt2": {"fid_test": [1.0]},
    }


def test_the_table_has_a_row_for_every_figure():
    both = {"fid": [1.0, 3.0], "diversity": [2.0, 2.0]}
    rows = {"gen": both | {"kid_unconstrained": [0.5, 0.5]}, "gt": both | {"accuracy": [1.0, 1.0]}, "gt2": both}
    lines = action_record.table(rows).splitlines()
    assert lines[0].split() == ["fid", "diversity"] and lines[1].split() == ["gen", "2.00±1.39", "2.00±0.00e+00"]
    assert [line.split()[0] for line in lines if line] == [
        "fid", "gen", "gt", "gt2", "kid", "gen_unconstrained", "accuracy", "gt"
    ]  # fmt: skip


def test_whose_bones_is_part_of_which_evaluator(data, recognisers, golden, tmp_path):
    free = load_recognisers(SPEC, data, recognisers, "free")
    with np.load(golden / "mesh" / "smpl_like_body.npz") as packed:
        np.savez(tmp_path / "SMPL_NEUTRAL.npz", **packed)
    own = load_recognisers(SPEC, data, recognisers, str(tmp_path / "SMPL_NEUTRAL.npz"))
    assert free.identity["name"] == "humanact12_gru.tar on the free body" and "smpl" in own.identity["name"]
    assert (free.offsets - own.offsets).abs().max() > 1e-3
    assert free.identity["sha256"] == own.identity["sha256"] and len(free.identity["sha256"]) == 64
    nothing = load_recognisers(SPEC, dataclasses.replace(data, cond="no_cond"), recognisers, "free")
    assert nothing.identity["sha256"] != free.identity["sha256"] and "modi_struct" in nothing.identity["name"]


def test_what_cannot_be_evaluated(data, recognisers, tmp_path):
    evaluators = load_recognisers(SPEC, data, recognisers, "free")
    with pytest.raises(UsageError, match="are for models of humanact12 and uestc, not of mocap"):
        load_recognisers(dataset_spec("mocap"), data, recognisers)
    with pytest.raises(MissingFileError, match=r"uestc_rot6d_stgcn\.tar is missing; this brings it: bash prepare/"):
        load_recognisers(dataset_spec("uestc"), data, tmp_path)
    with pytest.raises(DataError, match="holds 30 motions, fewer than --eval_num_samples 31: lower that"):
        prepared(session_of(data), evaluators, 31, 1)
    with pytest.raises(UsageError, match="--eval_num_samples 3: a set takes at least 4"):
        prepared(session_of(data), evaluators, 3, 1)
    with pytest.raises(NumericError, match=r"model000000020\.pt made motions that hold NaN"):
        evaluate(session_of(data, network=Nonsense()), evaluators, 6, 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist, which models without a condition are held against"),
        (
            np.zeros((5, 14, 3, 60), np.float32),
            r"\[motions, 15 or more, 3, frames\], not float32 \(5, 14, 3, 60\)",
        ),
        (np.zeros((5, 15, 3, 60), int), "not int64"),
        (np.full((5, 15, 3, 60), np.nan), "holds NaN or infinity"),
    ],
)
def test_real_poses_that_are_none(tmp_path, content, said):
    options = humanact12_folder(tmp_path)
    if content is not None:
        np.save(tmp_path / REAL_POSES, content)
    with pytest.raises((MissingFileError, DataError), match=said):
        load_real_poses(SPEC, options)


def test_real_poses_are_at_least_as_many(tmp_path, recognisers):
    options = dataclasses.replace(humanact12_folder(tmp_path), cond="no_cond")
    real_poses(tmp_path, 8)
    with pytest.raises(DataError, match="modi_struct.npy holds 8 motions, fewer than --eval_num_samples 9"):
        prepared(session_of(options, "no_cond"), load_recognisers(SPEC, options, recognisers, "free"), 9, 1)


def test_examples_are_the_nearest_the_middle_and_the_furthest(data, recognisers):
    session = session_of(data)
    evaluation = prepared(session, load_recognisers(SPEC, session.data, recognisers, "free"), 12, 1)
    work = evaluation.units()
    motions, described = evaluation.pick_examples(lambda name: work[name]())
    distances = [[each["distance"] for each in described["gen"][kind]] for kind in ("best", "median", "worst")]
    assert [sorted(distances[0]), sorted(distances[2], reverse=True)] == [distances[0], distances[2]]
    assert max(distances[0]) <= min(distances[1]) <= max(distances[1]) <= min(distances[2])
    assert {each["motion"] for kind in described["gen"].values() for each in kind} == set(motions)
    assert all(each["title"] in SPEC.actions for kind in described["gen"].values() for each in kind)
    assert all(motion.shape == (60, 24, 3) for motion in motions.values())
    values = evaluation.scores(lambda name: work[name]())
    json.dumps(action_scores.rows_of(values), allow_nan=False)
