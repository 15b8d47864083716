"""The loss of MDM: the published values and gradients, and what each term is blind to."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data_loaders.representations import hml, rot6d
from diffusion.losses import foot_contact_error, goal_error, masked_error, motion_terms
from diffusion.process import build_process
from model.denoisers.build import build_denoiser
from model.denoisers.published import from_published
from model.options import GOALS, ModelOptions
from tests.published import tensors
from utils.geometry.rest import offsets_of
from utils.run.errors import UsageError

LAYOUT = hml.layout_of("smpl22")
SHOWN = ("arch", "text_encoder_type", "layers", "latent_dim", "ff_size", "emb_trans_dec", "multi_target_cond",
         "multi_encoder_type", "target_enc_layers", "context_len", "pred_len")  # fmt: skip


def frames_first(features: torch.Tensor) -> torch.Tensor:
    """Published [B, J, C, T] as ours, [B, T, J * C]."""
    return features.movedim(-1, 1).flatten(2)


def part_of(path: Path, part: str) -> dict:
    """The arrays of one part of a golden file, without its name."""
    return {
        name.removeprefix(f"{part}/"): value for name, value in tensors(path).items() if name.startswith(part + "/")
    }


def golden_network(record: dict, mask_frames: bool = False) -> torch.nn.Module:
    """The recorded one-layer network, in eval mode."""
    config = json.loads(str(record["config"]))
    options = ModelOptions(
        **{name: config[name] for name in SHOWN}, num_heads=4, mask_frames=mask_frames, pos_embed_max_len=5000
    )
    weights = from_published({name[2:]: value for name, value in record.items() if name.startswith("w/")})
    widths = {"num_actions": config.get("num_actions", 0)}
    if "embed_text.weight" in weights:
        widths["text_width"] = weights["embed_text.weight"].shape[1]
    network = build_denoiser(options, weights["head.bias"].numel(), **widths, encoder_hides=False)
    network.load_state_dict(weights)
    return network.eval()


def predicted(network: torch.nn.Module, record: dict) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What the network makes of the recorded noisy motion, the motion [B, T, F] and its mask [B, T, 1]."""
    motion, noise = frames_first(record["x0"]), frames_first(record["noise"])
    lengths = record.get("lengths", torch.full((len(motion),), motion.shape[1]))
    condition = {"lengths": lengths}
    if "action" in record:
        condition["action"] = record["action"][:, 0]
    if "text_embed" in record:
        condition["text"] = record["text_embed"].transpose(0, 1)
    if "text_mask" in record:
        condition["text_visible"] = ~record["text_mask"]
    if "prefix" in record:
        condition["prefix"] = frames_first(record["prefix"])
    if "target_cond" in record:
        condition |= {"goal": record["target_cond"], "goal_asked": asked_of(record)}
    steps = json.loads(str(record["config"]))["diffusion_steps"]
    noisy = build_process("cosine", steps).q_sample(motion, record["t"], noise)
    mask = (torch.arange(motion.shape[1]) < lengths[:, None])[..., None].float()
    return network(noisy, record["t"], condition), motion, mask


def asked_of(record: dict) -> torch.Tensor:
    """Which goals [B, 8] a recorded batch was told."""
    order, names = json.loads(str(record["goal_order"])), json.loads(str(record["names"]))
    asked = torch.tensor([[goal in sample for goal in order] for sample in names])
    asked[:, -1] = record["is_heading"]
    return asked


def assert_published(network: torch.nn.Module, terms: dict[str, torch.Tensor], record: dict) -> None:
    """Each recorded term, and each recorded gradient of the mean loss."""
    for name, term in terms.items():
        torch.testing.assert_close(term, record[name], rtol=2e-5, atol=1e-6)
    terms["loss"].mean().backward()
    parameters = dict(network.named_parameters())
    gradients = {name[5:]: value for name, value in record.items() if name.startswith("grad/")}
    assert len(gradients) == 3
    for name, gradient in from_published(gradients).items():
        torch.testing.assert_close(parameters[name].grad, gradient, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("part", ["text", "text_maskframes"])
def test_text_loss_and_gradients(golden, part):
    file = golden / "mdm" / "losses_text.npz"
    record = part_of(file, "text") | part_of(file, part)
    network = golden_network(record, mask_frames=part != "text")
    terms = motion_terms(*predicted(network, record), {"vel_mse": 1.0, "rcxyz_mse": 0.0})
    assert set(terms) == {"rot_mse", "vel_mse", "loss"}
    assert_published(network, terms, record)


def test_action_loss_and_gradients(golden):
    record = part_of(golden / "mdm" / "losses_smpl.npz", "smpl")
    network, offsets = golden_network(record), offsets_of(record["rest_joints"])
    terms = motion_terms(
        *predicted(network, record),
        {"vel_mse": 1.0, "rcxyz_mse": 1.0, "fc": 1.0},
        row=rot6d.ROW,
        joints_of=lambda features: rot6d.decode(features, offsets, root="centred"),
    )
    assert set(terms) == {"rot_mse", "vel_mse", "rcxyz_mse", "fc", "loss"}
    assert_published(network, terms, record)


def goals_of(features: torch.Tensor, record: dict) -> torch.Tensor:
    """Where normalised features [B, T, 263] have the goals [B, 8, 3] in their last frame."""
    joints = hml.decode(features * record["std"] + record["mean"], LAYOUT)[:, -1]
    place = [joints[:, LAYOUT.skeleton.index({"traj": "pelvis"}.get(goal, goal))] for goal in GOALS[:-1]]
    facing = hml.heading(joints, LAYOUT)
    return torch.stack([*place, torch.stack((facing, 0 * facing, 0 * facing), -1)], 1)


def test_target_loss_and_gradients(shared):
    record = part_of(shared / "golden" / "mdm" / "losses_target.npz", "target")
    assert json.loads(str(record["goal_order"])) == list(GOALS)
    motion = frames_first(record["x0"])
    told = asked_of(record)
    where = goals_of(motion, record)
    torch.testing.assert_close(where[:, 0], record["joints_abs"][:, 0, :, -1], atol=1e-5, rtol=0)
    torch.testing.assert_close(where[:, -1, 0], record["heading_angle"][:, 0, -1], atol=1e-5, rtol=0)
    network = golden_network(record)
    terms = motion_terms(
        *predicted(network, record),
        {"target_loc": 1.0},
        missed_goal=lambda output: goal_error(goals_of(output, record), record["target_cond"], told),
    )
    assert set(terms) == {"rot_mse", "target_loc", "loss"}
    assert_published(network, terms, record)


def goals(**where: tuple[float, float, float]) -> torch.Tensor:
    """Goals [1, 8, 3] at the origin but for those given."""
    return torch.tensor([[where.get(goal, (0.0, 0.0, 0.0)) for goal in GOALS]])


def asking(*names: str) -> torch.Tensor:
    return torch.tensor([[goal in names for goal in GOALS]])


def test_goals_that_nobody_asked_for_do_not_count():
    there, here = goals(pelvis=(1, 2, 2), head=(9, 9, 9), traj=(3, 50, 4), heading=(1, 7, 7)), goals()
    for names, expected in (
        ((), 0),
        (("pelvis",), 9 / 3),
        (("traj",), 25 / 2),
        (("pelvis", "traj"), (9 + 25) / 5),
        (("pelvis", "heading"), 9 / 3 + 1),
    ):
        assert goal_error(there, here, asking(*names)).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("turn", "published", "full"), [(0.5, 0.25, 0.25), (-6.0, 0.28318**2, 0.28318**2), (3.0, 0.14159**2, 9.0)]
)
def test_back_and_front_are_alike_only_as_published(turn, published, full):
    error = [
        goal_error(goals(heading=(turn + 2, 0, 0)), goals(heading=(2, 0, 0)), asking("heading"), heading).item()
        for heading in ("published", "full")
    ]
    np.testing.assert_allclose(error, [published, full], rtol=1e-3)


def joints(frames: int = 4) -> torch.Tensor:
    """Joints [1, T, 24, 3] that do not move."""
    return torch.arange(24.0)[None, None, :, None].repeat(1, frames, 1, 3)


def test_only_feet_that_stand_shall_not_slide():
    target, output, seen = joints(), joints(), torch.ones(1, 4, 1, 1)
    output[:, 2:, :7] += 5  # knees and above
    assert foot_contact_error(output, target, seen).item() == 0
    target[:, 2:, 7] += torch.tensor((0.006, 0.007, 0.006))  # 0.011 m: the left ankle lifts
    output[:, 2:, 7] += 5
    assert foot_contact_error(output, target, seen).item() == 0
    target[:, 3:, 8] += torch.tensor((0.0, 0.009, 0.0))
    output[:, 3:, 8] += torch.tensor((1.0, 2.0, 2.0))
    assert foot_contact_error(output, target, seen).item() == pytest.approx(9 / (3 * 4 * 3))
    seen[:, 3] = 0
    assert foot_contact_error(output, target, seen).item() == 0


def test_the_last_row_has_no_velocity_unless_it_is_kept():
    target, mask = torch.zeros(2, 5, 12), torch.ones(2, 5, 1)
    output = target.clone()
    output[:, 3:, 6:] = 1
    vel = {
        (row, last): motion_terms(output, target, mask, {"vel_mse": 2.0}, row=row, last_row=last)["vel_mse"].tolist()
        for row in (1, 6)
        for last in ("dropped", "kept")
    }
    assert vel == {
        (6, "dropped"): [0, 0],
        (6, "kept"): [6 / 48] * 2,
        (1, "dropped"): [pytest.approx(5 / 44)] * 2,
        (1, "kept"): [6 / 48] * 2,
    }


def test_padding_does_not_count():
    target, mask = torch.zeros(1, 4, 6), torch.tensor([1.0, 1, 0, 0])[None, :, None]
    output = torch.full_like(target, 3)
    output[:, 2:] = 100
    assert masked_error(output, target, mask).item() == 9
    terms = motion_terms(output, target, mask, {"vel_mse": 1.0})
    assert (terms["rot_mse"].item(), terms["vel_mse"].item(), terms["loss"].item()) == (9, 0, 9)
    assert masked_error(output, target, 0 * mask).item() == 0


def test_weights_weigh_and_a_loss_without_its_means_is_refused():
    target, mask = torch.zeros(1, 3, 12), torch.ones(1, 3, 1)
    output = torch.linspace(0, 1, 36).view(1, 3, 12)
    terms = motion_terms(output, target, mask, {"vel_mse": 3.0, "target_loc": 2.0}, missed_goal=lambda _: torch.ones(1))
    assert terms["loss"].item() == pytest.approx(terms["rot_mse"].item() + 3 * terms["vel_mse"].item() + 2)
    with pytest.raises(UsageError, match="--lambda_fc, --lambda_rcxyz: this kind of motion has no such loss"):
        motion_terms(output, target, mask, {"fc": 1.0, "rcxyz_mse": 1.0, "vel_mse": 1.0})
