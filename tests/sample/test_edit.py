"""Editing: what is kept stays to the bit and lies in the world where it was, what is made anew meets it smoothly."""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_loaders.options import DataOptions
from data_loaders.points.toy import body_motion
from data_loaders.registry import dataset_spec
from data_loaders.representations import hml, joint_features
from diffusion.options import DiffusionOptions
from diffusion.process import build_process
from model.denoisers.build import build_denoiser
from model.options import ModelOptions
from sample.common.contents import features_content
from sample.common.session import Session
from sample.common.sources import Source, read_sources, source_of
from sample.editing import editing
from sample.editing.editing import (
    edit_request,
    edited,
    folder_of,
    known_frames,
    mode_of,
    sampled_joints,
)
from sample.editing.end_constraint import eased, end_constraint_of, fading, gaps, window
from sample.multiview.sampling import around, hung_on
from sample.options import EditOptions, MasOptions, SamplingOptions
from tests.commands import listing, refusal, run, toy, train
from tests.people import mocap_session, moving, record, tiny_dit, write_folder
from tests.toys import humanact12_folder
from utils.formats import results
from utils.formats.video import frame_count
from utils.geometry.kinematics import bone_lengths
from utils.geometry.motion import Motion
from utils.geometry.rotations import about_axis
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import DataError, UsageError
from utils.run.folders import RECORD
from utils.run.options import RunOptions
from utils.run.randomness import torch_generator

TINY = ModelOptions(arch="dit", layers=1, latent_dim=16, num_heads=2, ff_size=16, frames_per_token=4)
BETWEEN = EditOptions(edit_mode="in_between")


def features(name: str, frames: int, seed: int = 0) -> torch.Tensor:
    """Features [frames, F] in data units of a toy person who walks, or, of KIT's, random ones that walk and turn."""
    spec = dataset_spec(name)
    if spec.skeleton.name == "smpl22":
        clips = (body_motion(spec.fps, seed, i) for i in itertools.count())
        clip = next(clip for clip, label in clips if label in ("walk", "run") and len(clip) > frames)
        return hml.encode([clip[: frames + 1]], hml.layout_of(spec.skeleton), **spec.encoding)[0]
    drawn = torch.randn(frames, spec.features, generator=torch_generator(seed, "features"))
    return drawn * torch.cat((torch.tensor([0.05, 20, 20, 50]), torch.full((spec.features - 4,), 100.0)))


def session_of(name: str, samples: int = 2, compat: str = "none", **options: Any) -> Session:
    """A session of an unconditional model of 3D motion, whose weights are random: it goes anywhere."""
    spec, steps = dataset_spec(name), 4
    network, draws = build_denoiser(TINY, spec.features), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn(weight.shape, generator=draws) / max(1, weight.shape[-1]) ** 0.5)
    if spec.representation == "hml":
        mean, std = hml.statistics([features(name, 40)])
        std = hml.block_std(std, hml.layout_of(spec.skeleton)).clamp_min(0.01)
        std[:3] = torch.tensor((0.1, 0.1 / spec.skeleton.metres_per_unit, 0.1 / spec.skeleton.metres_per_unit))
    else:
        mean, std = torch.zeros(spec.features), torch.ones(spec.features)
    sampling = SamplingOptions(**{"model_path": "none", "num_samples": samples} | options)
    return Session(
        RunOptions(compat=compat), sampling, DataOptions(dataset=name, cond="no_cond"), TINY, DiffusionOptions(), spec,
        build_process("cosine", steps), network.eval(), mean, std, torch.device("cpu"), Path(__file__),
    )  # fmt: skip


def edit(session: Session, options: EditOptions, sources: list[Source]):
    """The request and what was made."""
    request = edit_request(session, options, sources)
    return request, edited(session, request, MasOptions(num_views=3), sources)


def joints_of(session: Session, made) -> torch.Tensor:
    return session.joints(made.features) if made.placed is None else made.placed


EDITS = {
    "in_between": BETWEEN,
    "keyframes": EditOptions(keyframes="0,7,20:24,-1"),
    "keyframes that begin later": EditOptions(keyframes="5,6,25"),
    "no prefix": EditOptions(edit_mode="in_between", prefix_end=0),
    "no suffix": EditOptions(edit_mode="in_between", suffix_start=1),
    "the root alone": EditOptions(edit_mode="in_between", joints=("{root}",)),
    "upper body between": EditOptions(edit_mode="upper_body", keyframes="3"),
}


@pytest.mark.parametrize("dataset", ["mocap", "kit"])
@pytest.mark.parametrize("name", EDITS)
def test_what_is_kept_is_as_it_was_in_features_and_in_the_world(dataset, name):
    """Features to the bit, joints to a millimetre and the heading to a tenth of a degree; without landing far off."""
    session = session_of(dataset)
    root = session.spec.skeleton.joints[0]
    options = dataclasses.replace(EDITS[name], joints=tuple(j.format(root=root) for j in EDITS[name].joints))
    sources = [Source(features(dataset, 36), "a"), Source(features(dataset, 29, seed=1), "b")]
    request, made = edit(session, options, sources)
    assert request.inputs is not None
    known, kept = request.inputs["motion"], request.inputs["known"]
    assert torch.equal(made.features[kept], known[kept])
    assert (made.features - known)[~kept & request.valid[..., None]].abs().gt(1e-4).float().mean() > 0.9
    millimetre = 0.001 / session.spec.skeleton.metres_per_unit
    whole = kept[..., :4].all(-1) & request.valid
    assert made.known is not None
    given = made.known & whole[..., None]
    distance = torch.linalg.vector_norm(joints_of(session, made) - session.joints(known), dim=-1)
    assert distance[given].max() < millimetre
    turned = torch.zeros(2) if made.rotated is None else made.rotated
    heading = turned[:, None] - 2 * (made.features[..., 0].cumsum(1) - made.features[..., 0])
    was = -2 * (known[..., 0].cumsum(1) - known[..., 0])
    assert torch.cos(heading - was)[whole].min() > np.cos(np.radians(0.1))
    if name in ("in_between", "keyframes"):
        plain = edit(session_of(dataset, compat="published"), options, sources)[1]
        off = torch.linalg.vector_norm(joints_of(session, plain) - session.joints(known), dim=-1)
        assert torch.equal(plain.features[kept], known[kept]) and off[given].max() > 100 * millimetre


def test_what_the_file_says_of_an_edit_that_begins_anew_fits_together():
    """The root's rotations in the file face where its joints do, though the features begin at the origin."""
    session = session_of("mocap", 1)
    _, made = edit(session, EditOptions(keyframes="9,20"), [Source(features("mocap", 30), "a")])
    assert made.placed is not None and made.rotated is not None and made.rotated.abs() > 0.05
    content = features_content(session, made)
    canonical = session.joints(made.features)
    turn = torch.from_numpy(content["rotations"])[:, 0, 0] @ about_axis("Y", torch.zeros(1)).mT
    body = canonical[:, 0] - canonical[:, 0, :1]
    placed = made.placed[:, 0] - made.placed[:, 0, :1]
    torch.testing.assert_close((turn @ body.mT).mT, placed, atol=1e-4, rtol=0)


def test_neither_another_sample_nor_its_length_changes_one():
    sources = [Source(features("mocap", 24), "a"), Source(features("mocap", 40, seed=1), "b")]
    for options in (BETWEEN, EditOptions(keyframes="0,20")):
        alone, both = (edit(session_of("mocap"), options, rows)[1] for rows in (sources[:1], sources))
        torch.testing.assert_close(both.features[:1, :24], alone.features, atol=1e-4, rtol=1e-4)
        assert not both.features[0, 24:].any()


# Landing by itself.


def walk(frames: int = 40) -> torch.Tensor:
    return features("mocap", frames)[None]


def gap(frames: int, first: int, stop: int) -> torch.Tensor:
    kept = torch.ones(1, frames, dtype=torch.bool)
    kept[:, first:stop] = False
    return kept


def test_landing_changes_nothing_where_nothing_lacks():
    clip = walk()
    landing = end_constraint_of(clip, gap(40, 10, 30), hml.layout_of("smpl22"))
    torch.testing.assert_close(landing(clip), clip, atol=1e-6, rtol=0)
    heading, place = landing.start(clip)
    assert not heading.any() and not place.any()


def test_the_correction_stays_in_the_gap_and_no_step_jumps():
    """Every step takes its share: none more than 1.6 times the mean, the first and the last next to nothing."""
    clip, layout = walk(), hml.layout_of("smpl22")
    made = clip.clone()
    made[:, 10:30, 1] += 0.03
    landed = end_constraint_of(clip, gap(40, 10, 30), layout)(made)
    assert torch.equal(landed[:, :10], made[:, :10]) and torch.equal(landed[:, 30:], made[:, 30:])
    added = torch.linalg.vector_norm((landed - made)[0, 10:30, 1:3], dim=-1)
    assert added.sum() == pytest.approx(20 * 0.03, rel=0.02)
    assert added.max() < 1.6 * 2 * 0.03 and added[[0, -1]].max() < 0.1 * added.mean()
    assert added.diff().abs().max() < 0.25 * added.max()


@pytest.mark.parametrize("turn", [0.4, -2.0, 3.0])
def test_the_shorter_way_round_is_taken(turn):
    clip = walk()
    made = clip.clone()
    made[:, 12:28, 0] += turn / 2 / 16 + np.pi / 16  # and a whole turn, which nobody sees
    landing = end_constraint_of(clip, gap(40, 12, 28), hml.layout_of("smpl22"))
    gained = -2 * (landing(made) - made)[..., 0].sum()
    assert float(gained) == pytest.approx(turn, abs=1e-4)


def seen_velocity(clip: torch.Tensor, layout: hml.Layout) -> torch.Tensor:
    """The joints' steps as the body faces [T - 1, J, 3] of features [1, T, F], measured from where they decode to."""
    joints = hml.decode(clip.double(), layout)[0]
    half = clip[0, :, 0].double().cumsum(0) - clip[0, :, 0].double()
    return (about_axis("Y", 2 * half)[:-1, None] @ joints.diff(dim=0)[..., None])[..., 0]


def test_velocities_follow_the_root():
    """A step that is put right changes every joint's velocity by as much as the joint goes elsewhere."""
    clip, layout = walk(), hml.layout_of("smpl22")
    made = clip + 0.05 * torch.randn(clip.shape, generator=torch_generator("velocities"))
    landed = end_constraint_of(clip, gap(40, 10, 30), layout)(made)
    told = (landed - made)[..., hml.blocks(layout)["velocity"]][0].unflatten(-1, (-1, 3))
    expected = seen_velocity(landed, layout) - seen_velocity(made, layout)
    torch.testing.assert_close(told[10:30].double(), expected[10:30], atol=1e-5, rtol=0)
    assert told[10:30].abs().max() > 0.01 and not told[:10].any() and not told[30:].any()


def test_gaps_lie_between_known_frames():
    kept = [bool(int(digit)) for digit in "00110100010"]
    assert gaps(kept) == [(4, 5), (6, 9)]
    assert gaps([False] * 4) == gaps([True] * 4) == gaps([True, False, False]) == []


@pytest.mark.parametrize("frames", [1, 2, 5, 20, 21, 100])
def test_shares_of_a_gap(frames):
    weights = window(frames)
    assert weights.sum() == pytest.approx(1) and torch.allclose(weights, weights.flip(0)) and weights.min() > 0
    assert frames < 40 or weights.max() < 1.2 / frames


def test_an_estimate_nears_what_is_known_beside_a_gap():
    known = torch.randn(1, 60, 3, generator=torch_generator("known"))
    kept = gap(60, 8, 50)
    fade = fading(kept, torch.tensor([60]))
    missed = eased(known + 1, known, fade)[0, :, 0] - known[0, :, 0]
    assert missed[8] < 0.03 and missed[49] < 0.03 and torch.allclose(missed[20:40], torch.ones(20))
    assert (missed[8:30].diff() >= -1e-6).all() and torch.allclose(missed[:8], torch.ones(8))
    # In a gap so short that both ends are felt everywhere, what misses by as much at both is put right.
    short = fading(gap(20, 8, 13), torch.tensor([20]))
    torch.testing.assert_close(eased(known[:, :20] + 1, known[:, :20], short)[:, 8:13], known[:, 8:13])


def test_every_estimate_is_eased_and_lands(monkeypatch):
    """What the loop hands on, of an estimate that is off by one deviation everywhere."""
    session, sources = session_of("mocap", 1), [Source(features("mocap", 40), "a")]
    there = session.to_model(sources[0].frames[None])
    monkeypatch.setattr(
        editing, "sample_plain", lambda session, request, project: session.to_data(project(there + 1, 3))
    )
    request, made = edit(session, BETWEEN, sources)
    assert request.inputs is not None
    missed = (session.to_model(made.features) - there)[0, :, 4:67]
    assert not missed[:10].any() and not missed[30:].any()
    assert missed[[10, 29]].abs().max() < 0.03 and missed[20].min() > 0.95
    kept = request.inputs["known"].all(-1)
    torch.testing.assert_close(session.joints(made.features)[kept], session.joints(sources[0].frames)[kept[0]])


def test_the_fit_of_all_views_is_eased():
    known = torch.zeros(1, 40, 16, 3)
    mask = gap(40, 10, 30)[..., None].expand(-1, -1, 16)
    missed = around(lambda *seen: known + 1, known, mask, torch.tensor([40]))(None)
    assert missed[0, [10, 29]].max() < 0.03 and missed[0, 20].min() > 0.95


def test_frames_after_the_end_are_nobodys_gap():
    kept = gap(30, 10, 30)
    long, short = fading(kept, torch.tensor([30])), fading(kept, torch.tensor([14]))
    assert not short[0, 14:].any() and short[0, 13, 9] < 0.1 < long[0, 13, 9]


# What is kept.


def test_the_published_masks(golden):
    constants = np.load(golden / "mdm" / "rep_constants.npz")
    made = sampled_joints(EditOptions(edit_mode="upper_body"), SKELETONS["smpl22"])
    mask = joint_features("hml", SKELETONS["smpl22"], ~made)
    assert torch.equal(mask, torch.from_numpy(constants["lower_body_mask"])) and int(mask.sum()) == 107


def test_the_upper_body_of_kit_goes_by_names():
    spec = dataset_spec("kit")
    made = sampled_joints(EditOptions(edit_mode="upper_body"), spec.skeleton)
    upper = {name for name, new in zip(spec.skeleton.joints, made.tolist(), strict=True) if new}
    assert upper == set("BP BT BLN BUN LS LE LW RS RE RW".split())
    mask = joint_features(spec.representation, spec.skeleton, ~made)
    assert mask.shape == (251,) and int(mask.sum()) == 4 + 10 * 9 + 11 * 3 + 4


def test_the_parts_of_rotations_and_points():
    made = sampled_joints(EditOptions(joints=("pelvis", "left_wrist")), SKELETONS["smpl24"])
    mask = joint_features("rot6d", SKELETONS["smpl24"], ~made).view(25, 6)
    assert [row for row in range(25) if not mask[row].any()] == [0, 20, 24] and mask.sum() == 22 * 6
    nba = sampled_joints(EditOptions(edit_mode="upper_body", joints=("LAnkle",)), SKELETONS["nba"])
    assert [SKELETONS["nba"].joints[i] for i in range(16) if not nba[i]] == "Hip RHip RKnee RAnkle LHip LKnee".split()
    with pytest.raises(UsageError, match="no upper body"):
        sampled_joints(EditOptions(edit_mode="upper_body"), SKELETONS["horse"])


@pytest.mark.parametrize(
    ("options", "frames", "kept"),
    [
        (EditOptions(), 8, "11000011"),
        (EditOptions(), 7, "1000011"),
        (EditOptions(), 5, "10011"),
        (EditOptions(edit_mode="in_between", prefix_end=0.5, suffix_start=0.9), 8, "11110001"),
        (EditOptions(edit_mode="in_between", keyframes="4"), 8, "11001011"),
        (EditOptions(keyframes="0, 3:5,-1"), 8, "10011001"),
        (EditOptions(keyframes="-4:-2,7:"), 8, "00001101"),
        (EditOptions(edit_mode="upper_body"), 4, "0000"),
        (EditOptions(joints=("neck",)), 4, "0000"),
    ],
)
def test_frames_that_are_kept(options, frames, kept):
    assert "".join(str(int(there)) for there in known_frames(options, frames)) == kept


@pytest.mark.parametrize("text", ["8", "-9", "3:2", "3:3", "0:9", "1;2", "1,,2", "x", "1.5"])
def test_frames_that_are_not_there(text):
    with pytest.raises(UsageError, match="keyframes"):
        known_frames(EditOptions(keyframes=text), 8)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (EditOptions(), "in_between"),
        (EditOptions(edit_mode="upper_body"), "upper_body"),
        (EditOptions(keyframes="3", joints=("neck",)), "keyframes_joints"),
        (EditOptions(edit_mode="in_between", joints=("neck",)), "in_between_joints"),
    ],
)
def test_names_of_edits(options, name, tmp_path):
    assert mode_of(options) == name
    (tmp_path / "mine").mkdir()
    sampling = SamplingOptions(model_path=str(tmp_path / "mine" / "model000000020.pt"))
    told = dataclasses.replace(options, text_condition="a man waves.")
    assert folder_of(sampling, 3, told) == tmp_path / "mine" / f"edit_mine_000000020_{name}_seed3_a_man_waves"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (EditOptions(edit_mode="in_between", prefix_end=0, suffix_start=1), "nothing is kept"),
        (EditOptions(edit_mode="in_between", prefix_end=0.6, suffix_start=0.5), "all is kept"),
        (EditOptions(keyframes="0:"), "all is kept"),
    ],
)
def test_an_edit_keeps_something_and_makes_something(options, said):
    with pytest.raises(UsageError, match=said):
        edit_request(session_of("mocap"), options, [Source(features("mocap", 20), "a")])


# Where motions come from.


def person(frames: int = 40, fps: float = 20.0) -> Motion:
    body = SKELETONS["smpl22"]
    return Motion(body_motion(fps, 0, 1)[0][:frames], fps, body.joints, body.parents, name="clip")


def test_features_of_a_file_are_taken_where_they_fit():
    spec, known = dataset_spec("mocap"), features("mocap", 30).numpy()
    told = dataclasses.replace(person(31), meta={"skeleton": "smpl22", "features": known}, texts=("walks", "waves"))
    found = source_of(told, spec)
    assert found.frames.numpy().tobytes() == known.tobytes() and found.title == "walks, waves"
    other = dataclasses.replace(told, meta=told.meta | {"dataset": "humanml"})
    assert len(source_of(other, spec).frames) == 30 and not np.array_equal(source_of(other, spec).frames, known)


@pytest.mark.parametrize("name", ["mocap", "humanml"])
def test_features_are_made_as_the_dataset_makes_them(name):
    spec = dataset_spec(name)
    expected = hml.encode([person().positions], hml.layout_of("smpl22"), **spec.encoding)[0]
    assert torch.equal(source_of(person(), spec).frames, expected)


def test_joints_of_a_file_are_brought_to_the_rate_of_the_model():
    slow, fast = (source_of(person(round(2 * fps) + 1, fps), dataset_spec("mocap")) for fps in (20.0, 60.0))
    assert len(slow.frames) == len(fast.frames) == 40 and slow.title == "clip"


def test_kit_takes_millimetres_by_its_own_joints():
    kit, frames = dataset_spec("kit"), np.random.RandomState(0).normal(0, 0.3, (30, 21, 3)).astype(np.float32)
    own = Motion(frames, 12.5, kit.skeleton.joints, kit.skeleton.parents, name="own")
    ric = source_of(own, kit).frames[:, 4:64]
    assert len(ric) == 29 and 100 < ric.abs().mean() < 1000
    with pytest.raises(DataError, match="not the 21 of kit21"):
        source_of(person(), kit)


def test_a_person_becomes_points_about_the_root_in_the_camera_frame():
    points = source_of(person(), dataset_spec("mocap2d")).frames
    assert points.shape == (40, 16, 3) and not points[:, 0].any()
    own = Motion(moving(40), 20.0, SKELETONS["nba"].joints, SKELETONS["nba"].parents, name="own")
    torch.testing.assert_close(
        source_of(own, dataset_spec("mocap2d")).frames,
        torch.from_numpy((own.positions - own.positions[:, :1]) * np.array([1, 1, -1], np.float32)),
    )


def test_what_cannot_be_edited():
    with pytest.raises(DataError, match="2 frames at 20 a second; at least 3"):
        source_of(person(3), dataset_spec("mocap"))
    with pytest.raises(DataError, match="1 frames"):
        source_of(person(1), dataset_spec("mocap"))
    nba = Motion(moving(40), 20.0, SKELETONS["nba"].joints, SKELETONS["nba"].parents, name="ball")
    with pytest.raises(DataError, match="ball.*not found: pelvis"):
        source_of(nba, dataset_spec("mocap"))
    with pytest.raises(DataError, match="no features of humanact12"):
        source_of(person(), dataset_spec("humanact12"))


# Inside MAS.


@pytest.mark.parametrize("fit", ["closed_form", "adam"])
@pytest.mark.parametrize("bones", ["rigid", "raw"])
def test_held_joints_are_held_in_the_motion_of_all_views(tmp_path, fit, bones):
    data = write_folder(tmp_path / "data", [(moving(60), record("a"))])
    session = mocap_session(data, tiny_dit(), 2, steps=3)
    own = SKELETONS["nba"]
    sources = [
        source_of(Motion(moving(frames, seed), 20.0, own.joints, own.parents), session.spec)
        for seed, frames in enumerate((24, 17))
    ]
    for options in (BETWEEN, EditOptions(edit_mode="upper_body", keyframes="2")):
        request = edit_request(session, options, sources)
        made = edited(session, request, MasOptions(num_views=3, fit=fit, bones=bones), sources)
        assert request.inputs is not None
        known, given = request.inputs["motion"], request.inputs["joints"]
        assert torch.equal(made.features[given], known[given])
        assert (made.features - known)[~given & request.valid[..., None]].abs().max() > 0.05
        measured, was = (bone_lengths(points, own.parents) for points in (made.features, known))
        if bones == "rigid":
            torch.testing.assert_close(measured, was, atol=1e-4, rtol=0)


def test_free_joints_hang_on_held_ones():
    motion, points = torch.from_numpy(np.stack([moving(5), moving(5, 3)]))
    mask = torch.zeros(1, 5, 16, dtype=torch.bool)
    mask[..., SKELETONS["nba"].index("LElbow")] = True
    hung = hung_on(points[None], motion[None], mask, SKELETONS["nba"].parents)[0]
    wrist, elbow, hip = (SKELETONS["nba"].index(name) for name in ("LWrist", "LElbow", "Hip"))
    assert torch.equal(hung[:, elbow], motion[:, elbow]) and torch.equal(hung[:, hip], points[:, hip])
    bone, wanted, length = (p[:, wrist] - p[:, elbow] for p in (hung, points, motion))
    torch.testing.assert_close(bone.norm(dim=-1), length.norm(dim=-1))
    torch.testing.assert_close(bone / bone.norm(dim=-1)[:, None], wanted / wanted.norm(dim=-1)[:, None])


# Whole commands.

TRAIN = (
    "--layers 1 --latent_dim 16 --num_heads 2 --ff_size 16 --train_batch_size 4 --diffusion_steps 4 --threads 1 "
    "--num_steps 2 --save_interval 2"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "mocap"
    run("prepare.toy_motion", "--dataset mocap --num_motions 24", "--output_dir", folder)
    return folder


@pytest.fixture(scope="module")
def model(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "text"
    run("train.train_mdm", "--dataset mocap", "--datapath", data, "--save_dir", folder, TRAIN)
    return folder


@pytest.fixture(scope="module")
def acting(tmp_path_factory) -> tuple[Path, Path]:
    """A model that was always told the action, and its data."""
    data = Path(humanact12_folder(tmp_path_factory.mktemp("toy") / "acts").datapath)
    folder = tmp_path_factory.mktemp("models") / "action"
    flags = ("--dataset humanact12 --cond_mask_prob 0", TRAIN)
    run("train.train_mdm", "--datapath", data, "--save_dir", folder, *flags)
    return folder, data


def command(model: Path, folder: Path, *flags: object) -> dict:
    """The results of an edit."""
    run("sample.edit", "--model_path", model, "--output_dir", folder, "--threads 1", *flags)
    return results.load(folder / "results.npy")


def test_clips_of_the_test_part_are_edited(model, data, tmp_path, capsys):
    flags = "--num_samples 2 --num_repetitions 2 --motion_length 1 --threads 1"
    run("sample.edit", "--model_path", model, "--datapath", data, flags)
    folder = model / "edit_text_2_in_between_seed0"
    made = results.load(folder / "results.npy")
    assert made["motion"].shape[:3] == (4, 22, 3) and made["text"] == [""] * 4
    assert (made["num_samples"], made["num_repetitions"]) == (2, 2) and capsys.readouterr().out.count("editing ") == 2
    clips = {
        path.stem: np.load(path)
        for path in (data / "new_joint_vecs").glob("*.npy")
        if path.stem in (data / "test.txt").read_text().split()
    }
    lengths = made["lengths"].tolist()
    for row, length in enumerate(lengths):
        start, end = made["features"][row, : length // 4], made["features"][row, int(0.75 * length) : length]
        assert any(
            np.allclose(clip[i : i + len(start)], start, atol=1e-5)
            and np.allclose(clip[i + int(0.75 * length) : i + length], end, atol=1e-5)
            for clip in clips.values()
            for i in range(len(clip) - length + 1)
        )
    assert not np.allclose(made["features"][0], made["features"][2], atol=1e-2)
    names = {f"sample{s:02d}_rep{r:02d}.mp4" for s in range(2) for r in range(2)}
    names |= {"input_motions_00.mp4", "input_motions_01.mp4", "samples_00_to_01.mp4"}
    assert set(listing(folder)) == names | {
        RECORD,
        "results.npy",
        "results.txt",
        "results_len.txt",
        "contact_sheet.png",
    }
    assert frame_count(folder / "input_motions_01.mp4") == lengths[1] == frame_count(folder / "sample01_rep01.mp4")
    assert frame_count(folder / "samples_00_to_01.mp4") == max(lengths)


def test_a_file_of_our_own_is_edited_again(model, tmp_path):
    """What a command made is kept to the bit where another keeps it, whatever the sentence."""
    run("sample.generate", "--model_path", model, "--output_dir", tmp_path / "first",
        "--num_samples 1 --motion_length 1 --threads 1 --text_prompt walks")  # fmt: skip
    first = results.load(tmp_path / "first" / "results.npy")
    file = ("--input_motion", tmp_path / "first" / "results.npy")
    waves, walks, nothing = (
        command(model, tmp_path / f"edit{i}", *file, "--edit_mode upper_body", *words)
        for i, words in enumerate((("--text_condition", "waves"), ("--text_condition", "walks"), ()))
    )
    anew = sampled_joints(EditOptions(edit_mode="upper_body"), SKELETONS["smpl22"])
    kept = joint_features("hml", SKELETONS["smpl22"], ~anew)
    for made in (waves, walks, nothing):
        assert made["features"][0][:, kept].tobytes() == first["features"][0][:, kept].tobytes()
    assert waves["text"] == ["waves"] and nothing["text"] == [""]
    assert len({made["features"].tobytes() for made in (waves, walks, nothing)}) == 3
    cut = command(model, tmp_path / "cut", *file, "--keyframes 0,-1 --motion_length 0.5")
    assert cut["lengths"].tolist() == [10]


def test_long_clips_are_cut_and_it_is_said(tmp_path):
    np.save(tmp_path / "walk.npy", np.concatenate([body_motion(20, 0, 1)[0]] * 4)[:230])
    (whole,) = read_sources(session_of("mocap"), str(tmp_path / "walk.npy"))
    assert len(whole.frames) == 196 and whole.note.endswith("; cut to its first 9.8 s (196 of 229 frames)")
    (part,) = read_sources(session_of("mocap", motion_length=1.5), str(tmp_path / "walk.npy"))
    assert torch.equal(part.frames, whole.frames[:30])


def test_motions_of_a_file_that_are_left_out_are_told(tmp_path):
    clips = np.stack([body_motion(20, 0, i)[0][:30] for i in range(3)]).astype(np.float32)
    skeleton = SKELETONS["smpl22"]
    content = {"motion": clips.transpose(0, 2, 3, 1), "text": ["one", "two", "three"], "num_samples": 3}
    content |= {"num_repetitions": 1, "lengths": np.array([30, 30, 30]), "fps": 20.0}
    content |= {"joint_names": list(skeleton.joints), "parents": list(skeleton.parents)}
    path = tmp_path / "results.npy"
    results.write(path, content)
    for count, told in ((1, "the first of the file's 3 motions"), (2, "the first 2 of the file's 3 motions"), (3, "")):
        first, *others = read_sources(session_of("mocap", num_samples=count), str(path))
        assert first.note == (told and f"{told}; --clip names another") and len(others) == count - 1
        assert all(not other.note for other in others)
    (named,) = read_sources(session_of("mocap", num_samples=1), str(path), EditOptions(clip="sample01_rep00"))
    assert named.title == "two" and not named.note


def test_a_model_that_was_always_told_the_action(acting, tmp_path, capsys):
    model, data = acting
    flags = ("--datapath", data, "--num_samples 1 --num_repetitions 2 --motion_length 0.5")
    made = command(model, tmp_path / "out", *flags)
    assert made["motion"].shape == (2, 24, 3, 10) and len(set(made["text"])) == 1 and made["text"][0]
    named = command(model, tmp_path / "named", *flags, "--action_name jump")
    assert named["text"] == ["jump"] * 2
    kept = known_frames(BETWEEN, 10).numpy()
    assert np.array_equal(named["features"][:, kept], made["features"][:, kept])
    file = ("--input_motion", tmp_path / "out" / "results.npy", "--num_repetitions 1")
    line = refusal(capsys, 2, "sample.edit", "--model_path", model, *file, "--output_dir", tmp_path / "b")
    assert "give --action_name" in line
    again = command(model, tmp_path / "again", *file, "--action_name jump --joints left_knee")
    assert again["lengths"].tolist() == [10, 10]


def test_mas_edits_a_file_of_its_own(tmp_path):
    train(tmp_path / "nba", toy(tmp_path / "data"))
    views = "--num_views 3 --threads 1"
    run("sample.mas", "--model_path", tmp_path / "nba", "--output_dir", tmp_path / "mas", views,
        "--num_samples 2 --motion_length 0.5")  # fmt: skip
    run("sample.edit", "--model_path", tmp_path / "nba", "--input_motion", tmp_path / "mas" / "results.npy", views)
    folder = tmp_path / "nba" / "edit_nba_3_in_between_seed0"
    made, first = (results.load(path / "results.npy")["motions"] for path in (folder, tmp_path / "mas"))
    assert made.shape == first.shape == (2, 15, 16, 3)
    np.testing.assert_array_equal(made[:, :3], first[:, :3])
    np.testing.assert_array_equal(made[:, 11:], first[:, 11:])
    assert np.abs(made - first)[:, 3:11].max() > 0.01
    assert {"input_motions_00.mp4", "row01_col00.mp4", "rows_00_to_01.mp4", "results.npz"} <= set(listing(folder))
    assert len(results.read(folder / "results.npy")) == 2


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ("--joints left_wist", 2, "did you mean left_wrist?"),
        ("--keyframes 0,4000", 2, "frames, 0 to "),
        ("--keyframes first", 2, "neither a frame"),
        ("--prefix_end 0 --suffix_start 1", 2, "nothing is kept"),
        ("--prefix_end 1.5", 2, "1.5 is more than 1"),
        ("--edit_mode middle", 2, "choose from 'in_between', 'upper_body'"),
        ("--text_prompt walks", 2, "--text_condition"),
        ("--use_data", 2, "--input_motion"),
        ("--motion_length 30", 2, "know up to 9.8 s"),
        ("--num_samples 4000", 4, "--num_samples 4000"),
        ("--datapath nowhere", 3, "--input_motion FILE"),
        ("--input_motion nowhere.bvh", 3, "nowhere.bvh does not exist"),
        ("--input_motion README.md", 2, "not from .md"),
    ],
)
def test_what_is_refused(model, data, tmp_path, capsys, flags, code, said):
    where = () if "--datapath" in flags else ("--datapath", data)
    line = refusal(capsys, code, "sample.edit", "--model_path", model, "--output_dir", tmp_path / "out", *where, flags)
    assert said in line and listing(tmp_path) == {}


def test_bad_files_are_refused(model, tmp_path, capsys):
    walk = body_motion(20, 0, 1)[0]
    walk[3, 2, 1] = np.nan
    np.save(tmp_path / "nan.npy", walk)
    np.save(tmp_path / "short.npy", walk[10:13])
    np.save(tmp_path / "many.npy", np.zeros((9, 7, 3), np.float32))
    for name, said in (("nan", "NaN"), ("short", "at least 3"), ("many", "7 of them")):
        flags = ("--model_path", model, "--output_dir", tmp_path / "out", "--input_motion", tmp_path / f"{name}.npy")
        assert said in refusal(capsys, 4, "sample.edit", *flags) and not (tmp_path / "out").exists()


def test_models_that_cannot_do_what_is_asked(model, acting, tmp_path, capsys):
    line = refusal(capsys, 2, "sample.edit", "--model_path", acting[0], "--text_condition walks")
    assert "reads no text" in line
    told = json.loads((model / "args.json").read_text())
    flags = ("--model_path", model, "--output_dir", tmp_path / "out")
    np.save(tmp_path / "walk.npy", body_motion(20, 0, 1)[0])
    for changed, said in (({"cond_mask_prob": 0.0}, "give --text_condition"), ({"context_len": 20}, "only continues")):
        (tmp_path / "args.json").write_text(json.dumps(told | changed))
        for name in ("checkpoint_2.pth", "Mean.npy", "Std.npy", "manifest.json"):
            (tmp_path / name).write_bytes((model / name).read_bytes())
        flags = ("--model_path", tmp_path, "--output_dir", tmp_path / "out", "--input_motion", tmp_path / "walk.npy")
        assert said in refusal(capsys, 2, "sample.edit", *flags)
