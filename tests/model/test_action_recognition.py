"""Recognisers of actions: golden outputs, published names, neighbours on a tree, and files that are none of theirs."""

import json

import numpy as np
import pytest
import torch

from model.evaluators import action_recognition
from model.evaluators.action_recognition import FILES, POSE_JOINTS, load, neighbours, pose_joints
from tests.published import tensors
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, MissingFileError

NAMES = {"humanact12": "humanact12_gru", "uestc": "uestc_rot6d_stgcn", "poses": "humanact12_gru_modi_struct(stgcn15)"}


def formula_weights(network: torch.nn.Module, amplitude: float = 0.6) -> dict[str, torch.Tensor]:
    """The weights with which the golden numbers were made (golden/mdm/INDEX.md)."""
    state = {}
    for k, (name, value) in enumerate(network.state_dict().items()):
        if name == "A" or name.endswith("num_batches_tracked"):
            state[name] = value
            continue
        wave = np.sin(0.37 * np.arange(value.numel()).reshape(value.shape) + k)
        if name.endswith("running_var"):
            wave = 1 + 0.5 * wave**2
        elif value.dim() <= 1:
            wave = 0.1 * wave + name.endswith("weight")
        else:
            wave = amplitude * wave / np.sqrt(value[0].numel())
        state[name] = torch.from_numpy(np.asarray(wave, np.float32))
    return state


def with_formula(kind: str) -> torch.nn.Module:
    network = FILES[kind].build()
    network.load_state_dict(formula_weights(network))
    return network.eval()


@pytest.fixture(scope="module")
def record(golden) -> dict[str, torch.Tensor]:
    return tensors(golden / "mdm" / "eval_a2m_nets.npz")


def frames_first(x: torch.Tensor) -> torch.Tensor:
    """Published [B, J, C, T] as ours."""
    return x.permute(0, 3, 1, 2)


def test_the_recurrent_network_as_published(record):
    network, joints = with_formula("humanact12"), frames_first(record["gru_x"])
    with torch.no_grad():
        embedding, logits = network(joints, record["gru_lengths"], record["gru_h0"])
    torch.testing.assert_close(embedding, record["gru_features"], atol=1e-5, rtol=0)
    torch.testing.assert_close(logits, record["gru_logits"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("kind", "name"), [("uestc", "stgcn"), ("poses", "stgcn15")])
def test_the_graph_networks_as_published(record, kind, name):
    network = with_formula(kind)
    torch.testing.assert_close(network.A, record[f"{name}_A"], atol=1e-7, rtol=0)
    with torch.no_grad():
        embedding, logits = network(frames_first(record[f"{name}_x"]))
    torch.testing.assert_close(embedding, record[f"{name}_features"], atol=1e-5, rtol=0)
    torch.testing.assert_close(logits, record[f"{name}_yhat"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", NAMES)
def test_published_names_and_shapes(golden, kind):
    published = json.loads((golden / "mdm" / "state_dict_keys.json").read_text())[NAMES[kind]]
    network = FILES[kind].build()
    assert [[name, list(value.shape)] for name, value in network.state_dict().items()] == published["keys"]
    assert sum(weight.numel() for weight in network.parameters()) == published["n_params"]


def test_what_comes_after_the_end_is_not_seen(record):
    network, joints = with_formula("humanact12"), frames_first(record["gru_x"])
    longer = torch.cat([joints, torch.randn(3, 4, 24, 3, generator=torch.Generator().manual_seed(0))], 1)
    with torch.no_grad():
        for lengths in (record["gru_lengths"], torch.tensor([1, 10, 3])):
            torch.testing.assert_close(network(longer, lengths), network(joints, lengths), atol=1e-6, rtol=0)
        full = network(joints, torch.full((3,), 10))[0]
    assert (full[1:] - network(joints, record["gru_lengths"])[0][1:]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", NAMES)
def test_a_motion_is_evaluated_alike_alone_and_in_company(kind):
    network, joints = with_formula(kind), {"humanact12": (24, 3), "uestc": (24, 6), "poses": (15, 3)}[kind]
    motion = torch.randn(5, 20, *joints, generator=torch.Generator().manual_seed(1))
    more = (torch.full((5,), 20),) if kind == "humanact12" else ()
    with torch.no_grad():
        together = network(motion, *more)
        alone = [network(motion[i : i + 1], *(each[i : i + 1] for each in more)) for i in range(5)]
    for whole, parts in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(torch.cat(parts), whole, atol=1e-5, rtol=0)


def test_neighbours_on_a_chain():
    """0 - 1 - 2 - 3 - 4 around joint 1: who is nearer to it, by distances that stop at 1."""
    own, others, inner = neighbours((-1, 0, 1, 2, 3), centre=1)
    seen = torch.tensor([2.0, 3, 3, 3, 2])
    torch.testing.assert_close(own, torch.diag(1 / seen))
    torch.testing.assert_close((own + others + inner) * seen, torch.eye(5) + torch.diag(torch.ones(4), 1)
                               + torch.diag(torch.ones(4), -1))  # fmt: skip
    assert inner.nonzero().tolist() == [[1, 0], [1, 2], [2, 3]], "3 and 4 are both beyond: neither is nearer"
    assert others.nonzero().tolist() == [[0, 1], [2, 1], [3, 2], [3, 4], [4, 3]]


def test_the_15_joints(shared):
    constants = json.loads((shared / "golden" / "mdm" / "constants.json").read_text())
    names = SKELETONS["smpl24"].joints
    assert [names.index(name) for name in POSE_JOINTS] == constants["unconstrained_15_joints_from_smpl24"]
    pairs = {frozenset((i, parent)) for i, parent in enumerate(action_recognition.POSE_PARENTS) if parent >= 0}
    assert pairs == {frozenset(pair) for pair in constants["unconstrained_15_edges"]}
    joints = torch.randn(2, 7, 24, 3, generator=torch.Generator().manual_seed(0))
    chosen = pose_joints(joints)
    assert chosen.shape == (2, 7, 15, 3) and not chosen[:, :, 8].any()
    torch.testing.assert_close(chosen[:, :, 4], joints[:, :, 20] - joints[:, :, 0])


def test_published_files_are_read(tmp_path):
    for kind, file in FILES.items():
        weights = formula_weights(file.build())
        torch.save({"model": weights} if kind == "humanact12" else weights, tmp_path / file.name)
        network = load(kind, tmp_path)
        assert not network.training
        for name, value in network.state_dict().items():
            torch.testing.assert_close(value, weights[name], rtol=0, atol=0)


def test_what_is_no_recogniser_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"humanact12_gru\.tar is missing; this brings it: bash prepare/down"):
        load("humanact12", tmp_path)
    path = tmp_path / FILES["poses"].name
    path.write_bytes(b"<html>too many downloads</html>")
    with pytest.raises(DataError, match="is not a checkpoint that can be opened safely"):
        load("poses", tmp_path)
    torch.save(formula_weights(FILES["uestc"].build()), path)
    with pytest.raises(DataError, match=r"is not the published network: .*download_recognition_unconstrained_models"):
        load("poses", tmp_path)
    weights = formula_weights(FILES["poses"].build())
    torch.save(weights | {"fcn.bias": weights["fcn.bias"] * np.nan}, path)
    with pytest.raises(DataError, match="the weights fcn.bias hold NaN"):
        load("poses", tmp_path)
