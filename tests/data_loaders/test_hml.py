"""HumanML3D and KIT-ML features: the published numbers, and what must hold of any clip."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from data_loaders.representations import hml
from tests.published import tensors
from utils.geometry.rotations import about_axis
from utils.run.errors import DataError, UsageError

T2M, KIT = hml.layout_of("smpl22"), hml.layout_of("kit21")
CLIPS = {"t2m": T2M, "t2m_turn": T2M, "kit": KIT}
# The original loses digits where a bone points against its rest direction (t2m_turn, frame 186).
ROTATION_TOLERANCE = {"t2m": 1e-5, "t2m_turn": 1e-4, "kit": 5e-5}


@pytest.fixture(params=CLIPS)
def record(request: pytest.FixtureRequest, golden: Path) -> tuple[str, hml.Layout, dict]:
    """Name, layout and arrays of one made-up clip."""
    return request.param, CLIPS[request.param], tensors(golden / "mdm" / f"rep_synth_{request.param}.npz")


@pytest.fixture(scope="module")
def person(golden: Path) -> Tensor:
    """A made-up person [64, 22, 3] that turns by less than half a turn."""
    return tensors(golden / "mdm" / "rep_synth_t2m.npz")["positions"]


def error(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def test_features_are_those_of_the_published_data_sets(record: tuple[str, hml.Layout, dict]):
    name, layout, arrays = record
    unit = 1 if layout is T2M else 1000  # millimetres
    features = hml.encode([arrays["positions"].numpy()], layout, arrays["tgt_offsets"])[0]
    assert features.shape == arrays["hml/vec"].shape and features.dtype == torch.float32
    tolerance = dict.fromkeys(hml.blocks(layout), 1e-5 * unit)
    tolerance |= {"root_yaw": 5e-6, "rot6d": ROTATION_TOLERANCE[name], "contact": 0}
    for block, place in hml.blocks(layout).items():
        assert error(features[:, place], arrays["hml/vec"][:, place]) <= tolerance[block], block


@pytest.mark.parametrize("name", ["t2m", "kit"])
def test_placing_and_decoding_are_the_published_ones(golden: Path, name: str):
    layout, arrays = CLIPS[name], tensors(golden / "mdm" / f"rep_synth_{name}.npz")
    unit = 1 if layout is T2M else 1000
    features, target = arrays["hml/vec"], arrays["tgt_offsets"]
    placed = hml.place([arrays["positions"]], layout, target)[0]
    assert error(placed, arrays["hml/global_positions"]) < 5e-6 * unit
    turns, root = hml.root_motion(features)
    assert error(turns, arrays["hml/root_quat"]) < 1e-6
    assert error(root, arrays["hml/root_pos"]) < 1e-6 * unit
    assert error(hml.decode(features, layout), arrays["hml/recover_from_ric"]) < 1e-6 * unit
    assert error(hml.decode_by_rotations(features, layout, target), arrays["hml/recover_from_rot"]) < 1e-6 * unit
    assert error(hml.decode(features[None, None], layout)[0, 0], arrays["hml/recover_from_ric"]) < 1e-6 * unit


def test_a_genuine_clip(shared: Path):
    arrays = tensors(shared / "golden" / "mdm" / "rep_genuine_012314.npz")
    joints, stored = arrays["new_joints"], arrays["new_joint_vecs"]
    assert error(hml.encode([joints], T2M)[0], arrays["process_hml/vec"]) < 1e-5
    # Later frames feel through the smoothed heading that the file lacks the last frame of the recording.
    assert error(hml.encode([joints], T2M)[0][:88], stored[:88]) < 1e-5
    assert error(hml.extract([joints], T2M)[0], arrays["extract_features_hml"]) < 2e-6
    assert error(hml.decode(stored, T2M), joints) < 1e-6
    assert error(hml.decode_by_rotations(stored, T2M), arrays["recover_from_rot"]) < 1e-6
    assert error(hml.decode_by_rotations(stored, T2M), joints) < 3e-6
    assert error(hml.block_std(arrays["Std"], T2M), arrays["Std"]) < 1e-7
    offsets = T2M.offsets
    assert offsets is not None and error(offsets, arrays["tgt_offsets"]) < 1e-7


def test_masks_and_rest_directions(golden: Path):
    constants = tensors(golden / "mdm" / "rep_constants.npz")
    lower = constants["lower_body_joints"].tolist()
    assert torch.equal(hml.feature_mask(T2M, lower, root=True), constants["lower_body_mask"])
    assert torch.equal(hml.feature_mask(T2M, ["pelvis"], root=True), constants["root_mask"])
    upper = [T2M.skeleton.joints[joint] for joint in constants["upper_body_joints"]]
    assert torch.equal(hml.feature_mask(T2M, upper, root=False), constants["upper_body_mask"])
    assert torch.equal(torch.tensor(T2M.rest), constants["t2m_raw_offsets"])
    assert torch.equal(torch.tensor(KIT.rest), constants["kit_raw_offsets"])
    assert T2M.features == 263 and KIT.features == 251


def test_a_mask_of_kit_by_name():
    mask = hml.feature_mask(KIT, ["RF", "LE"], root=False)
    where = hml.blocks(KIT)
    assert mask.shape == (251,) and int(mask.sum()) == 2 * (3 + 6 + 3) + 1
    assert mask[where["contact"]].tolist() == [False, True, False, False]
    assert mask[where["ric"]].reshape(-1, 3).all(1).nonzero().flatten().tolist() == [5, 19]
    with pytest.raises(UsageError, match="kit21 has no joint pelvis"):
        hml.feature_mask(KIT, ["pelvis"], root=True)
    with pytest.raises(UsageError, match="no joint 21"):
        hml.feature_mask(KIT, [21], root=True)
    with pytest.raises(UsageError, match="nba"):
        hml.layout_of("nba")


def test_the_features_of_a_path(golden: Path, person: Tensor):
    arrays = tensors(golden / "mdm" / "rep_traj_global2vel.npz")
    wanted = arrays["out"][:, :, 0].mT
    assert error(hml.path_features(arrays["traj"].mT, -arrays["rot"][:, 0]), wanted) < 1e-6
    turns, root = hml.root_motion(hml.encode([person], T2M)[0])
    heading = -2 * torch.atan2(turns[:, 2], turns[:, 0])
    assert error(hml.path_features(root[:, ::2], heading), hml.encode([person], T2M)[0][:-1, :3]) < 1e-6


def test_features_do_not_know_where_a_clip_starts_nor_where_it_faces(person: Tensor):
    features = hml.encode([person], T2M)[0]
    for angle in (0.5, 2.0, 3.1415, -2.5):
        moved = person @ about_axis("Y", torch.tensor(angle)).mT + torch.tensor([3.0, 0.4, -2.0])
        assert error(hml.encode([moved], T2M)[0], features) < 3e-5


def test_start_puts_a_clip_back_into_the_world(person: Tensor):
    world = person @ about_axis("Y", torch.tensor(2.0)).mT + torch.tensor([3.0, 0.0, -2.0])
    features = hml.encode([person, world], T2M, target=None)
    floor = torch.stack([person, world])[..., 1].amin((1, 2))
    starts = (
        hml.heading(torch.stack([person[0], world[0]]), T2M),
        torch.stack([person[0, 0, ::2], world[0, 0, ::2]]),
    )
    back = hml.decode(torch.stack(features), T2M, starts)
    back[..., 1] += floor[:, None, None]
    assert error(back, torch.stack([person, world])[:, :-1]) < 1e-5
    offsets = torch.linalg.vector_norm(person[0] - person[0, [max(p, 0) for p in T2M.skeleton.parents]], dim=-1)
    rest = offsets[:, None] * torch.tensor(T2M.rest)
    turned = hml.decode_by_rotations(features[1], T2M, rest, (starts[0][1], starts[1][1]))
    straight = hml.decode_by_rotations(features[1], T2M, rest)
    assert error(turned, straight @ about_axis("Y", starts[0][1]).mT + torch.tensor([1, 0, 1]) * world[0, 0]) < 1e-5


def test_a_quarter_turn_of_the_start_goes_from_z_to_x():
    features = torch.zeros(3, 263)
    features[:, 2] = 1.0
    path = hml.decode(features, T2M, (torch.tensor(torch.pi / 2), torch.tensor([5.0, 7.0])))[:, 0]
    assert error(path, torch.tensor([[5.0, 0, 7], [6, 0, 7], [7, 0, 7]])) < 1e-6


def test_heading_is_that_of_the_body(person: Tensor):
    placed = hml.place([person], T2M)[0]
    assert abs(float(hml.heading(placed[0], T2M))) < 1e-5
    turned = placed[0] @ about_axis("Y", torch.tensor([0.7, -3.0])).mT
    assert error(hml.heading(turned, T2M), torch.tensor([0.7, -3.0])) < 1e-5


def test_clips_of_a_batch_do_not_feel_each_other(person: Tensor, monkeypatch: pytest.MonkeyPatch):
    clips = [person, person[5:7] + 1, person[10:50].flip(0), person[:3]]
    alone = [hml.encode([clip], T2M)[0] for clip in clips]
    for at_once in (10_000, 70, 1):
        monkeypatch.setattr(hml, "_FRAMES_AT_ONCE", at_once)
        together = hml.encode(clips, T2M)
        assert [len(clip) for clip in together] == [63, 1, 39, 2]
        assert max(error(a, b) for a, b in zip(alone, together, strict=True)) < 1e-5
        placed = hml.place(clips, T2M)
        assert max(error(hml.place([a], T2M)[0], b) for a, b in zip(clips, placed, strict=True)) < 1e-6
    assert hml.encode([], T2M) == []


def test_what_a_round_trip_loses(golden: Path, person: Tensor):
    turning = tensors(golden / "mdm" / "rep_synth_t2m_turn.npz")["positions"]
    for clip in (person, turning):
        errors = hml.round_trip_error(clip, T2M, yaw="continuous", face_order="right")
        assert set(errors) == {"positions_mean", "positions_max", "rotations_mean", "rotations_max"}
        assert max(errors.values()) < 0.01
        assert float(hml.encode([clip], T2M, None, "right", "continuous")[0][1:, 0].abs().max()) < 0.1
    flawed = hml.round_trip_error(turning, T2M)
    assert flawed["positions_max"] > 50 and flawed["rotations_max"] > 50
    millimetres = hml.round_trip_error(tensors(golden / "mdm" / "rep_synth_kit.npz")["positions"], KIT)
    assert millimetres["positions_max"] < 0.01


def test_proportions_are_the_targets_or_the_clips_own(person: Tensor):
    parents = [max(parent, 0) for parent in T2M.skeleton.parents]

    def bones(points: Tensor) -> Tensor:
        return torch.linalg.vector_norm(points - points[:, parents], dim=-1)

    assert error(bones(hml.place([person], T2M)[0]), torch.tensor(T2M.lengths).expand(64, 22)) < 1e-5
    assert error(bones(hml.place([person], T2M, None)[0]), bones(person)) < 1e-5
    assert T2M.offsets is not None and KIT.offsets is None
    placed = hml.place([person], T2M, 2 * T2M.offsets)[0]
    assert error(placed, 2 * hml.place([person], T2M)[0]) < 1e-4


def test_the_published_heading_sees_the_hips_the_wrong_way_round(person: Tensor):
    clip = hml.place([person], T2M)[0][:1].repeat(9, 1, 1)
    clip[:, 16:18] = clip[:, 16:18].mean(1, keepdim=True)  # shoulders in one point: only the hips tell the heading
    published, right = (hml.encode([clip], T2M, None, face_order=order)[0] for order in ("published", "right"))
    assert error(right[:, 0], torch.zeros(8)) < 1e-3
    assert float(published[0, 0].abs()) > 1.5  # half of a half turn, pi / 2


def test_standing_still_and_bodies_without_extent_are_finite(person: Tensor):
    still = person[:1].repeat(5, 1, 1)
    for clip in (still, torch.zeros(4, 22, 3), -still, still.flip(1)):
        features = hml.encode([clip], T2M, None)[0]
        assert features.isfinite().all() and hml.decode(features, T2M).isfinite().all()
    features = hml.encode([still], T2M)[0]
    assert features[:, hml.blocks(T2M)["contact"]].eq(1).all()
    assert error(features[:, hml.blocks(T2M)["velocity"]], torch.zeros(4, 66)) == 0
    assert error(features[1:, :3], torch.zeros(3, 3)) < 1e-6


@pytest.mark.parametrize("face_order", ["published", "right"])
def test_a_body_that_faces_nowhere_keeps_its_shape(person: Tensor, face_order: hml.FaceOrder):
    clip = person.clone()
    clip[:, [1, 2, 16, 17]] = clip[:, :1]
    features = hml.encode([clip], T2M, None, face_order)[0]
    back = hml.decode(features, T2M)
    assert error(back - back[:, :1], (clip - clip[:, :1])[:-1]) < 1e-5


def test_contacts_are_of_slow_ankles_and_toes_left_before_right():
    steps_of, still = {T2M: (0.05, 0.04), KIT: (0.23, 0.22)}, torch.zeros(2, 22, 3)
    joints = {T2M: ("left_ankle", "left_foot", "right_ankle", "right_foot"), KIT: ("RMrot", "RF", "LMrot", "LF")}
    for layout, steps in steps_of.items():
        for place, joint in enumerate(joints[layout]):
            for axis, step in enumerate((steps[0], steps[0], steps[1])):
                clip = still[:, : layout.joints].clone()
                clip[1, layout.skeleton.index(joint), axis] = step
                contact = hml.extract([clip], layout)[0][0, hml.blocks(layout)["contact"]]
                assert contact.tolist() == [float(i != place or step == steps[1]) for i in range(4)]


@pytest.mark.parametrize(("layout", "leg"), [(T2M, ("right_knee", "right_ankle")), (KIT, ("RK", "RA"))])
def test_the_path_is_as_much_longer_as_the_target_legs(golden: Path, layout: hml.Layout, leg: tuple[str, str]):
    arrays = tensors(golden / "mdm" / f"rep_synth_{'t2m' if layout is T2M else 'kit'}.npz")
    clip, target = arrays["positions"], arrays["tgt_offsets"].clone()
    plain = hml.place([clip], layout, target)[0][:, 0, ::2].norm(dim=-1)
    length = target[layout.skeleton.index(leg[0])].norm() + target[layout.skeleton.index(leg[1])].norm()
    for joint in range(1, layout.joints):
        longer = target.clone()
        longer[joint] *= 1.5
        share = target[joint].norm() / length if layout.skeleton.joints[joint] in leg else 0
        path = hml.place([clip], layout, longer)[0][:, 0, ::2].norm(dim=-1)
        assert error(path, plain * (1 + 0.5 * share)) < 1e-5 * float(plain.abs().max())


def test_two_frames_are_enough_and_one_is_not(person: Tensor):
    assert hml.encode([person[:2]], T2M)[0].shape == (1, 263)
    with pytest.raises(DataError, match="clip 1 has 1 frame"):
        hml.encode([person, person[:1]], T2M)


def test_bad_clips_are_named(person: Tensor):
    broken = person.clone()
    broken[3, 4, 1] = torch.nan
    with pytest.raises(DataError, match="clip 2 has NaN"):
        hml.encode([person, person, broken], T2M)
    for small in (0 * person, 1e-9 * person):
        with pytest.raises(DataError, match="clip 1 has legs of no length"):
            hml.encode([person, small], T2M)
        assert hml.place([small], T2M, None)[0].isfinite().all(), "nobody else's bones are asked for"
    with pytest.raises(DataError, match="clip 0 is 64x22x3; features of kit21 are made of Tx21x3"):
        hml.place([person], KIT)
    with pytest.raises(UsageError, match="bones of kit21"):
        hml.decode_by_rotations(torch.zeros(2, 251), KIT)


def test_gradients_are_finite_everywhere(person: Tensor):
    for features in (hml.encode([person], T2M)[0], torch.zeros(4, 263)):
        features = features.double().requires_grad_()
        positions = hml.decode(features, T2M)
        total = (
            positions.square().sum() + hml.decode_by_rotations(features, T2M).sum() + hml.heading(positions, T2M).sum()
        )
        (gradient,) = torch.autograd.grad(total, features)
        assert gradient.isfinite().all()
    assert positions.dtype == torch.float64


def test_statistics_and_their_blocks(person: Tensor):
    clips = hml.encode([person, person[:20]], T2M)
    mean, std = hml.statistics(clips)
    rows = np.concatenate([clip.double().numpy() for clip in clips])
    np.testing.assert_allclose(mean, rows.mean(0), atol=1e-6)
    np.testing.assert_allclose(std, rows.std(0), atol=1e-6)
    averaged = hml.block_std(std, T2M)
    for block in hml.blocks(T2M).values():
        np.testing.assert_allclose(averaged[block], np.full(block.stop - block.start, std[block].mean()), rtol=1e-5)
    assert list(hml.blocks(T2M).values())[-1].stop == 263
