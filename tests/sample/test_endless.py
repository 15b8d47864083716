"""Motion window after window: what each window follows and is told, what it begins with, and where targets lie."""

import dataclasses
import math
import re

import numpy as np
import pytest
import torch

from data_loaders.registry import dataset_spec
from data_loaders.representations import hml
from data_loaders.text.goals import goals_reached
from data_loaders.texts import read_lines
from model.options import GOALS
from sample.common.contents import features_content
from sample.common.samples import Samples
from sample.endless.windows import (
    advanced,
    aimed,
    aimed_request,
    endless_request,
    find_prefix,
    origin,
    read_targets,
    sample_endless,
    spans,
    standing,
    windows,
    wrapped,
)
from sample.options import EndlessOptions, PrefixOptions
from tests.commands import TINY, listing, refusal, run, toy, train
from tests.dip import CONTEXT, LAYOUT, SPEC, WINDOW, dip_session, statistics, told, toy_features, write_positions
from utils.formats import results
from utils.geometry.kinematics import mirror
from utils.run.errors import DataError, MissingFileError, UsageError

WALKS, WAVES = "walks", "waves"


def requested(session, begin=None, **options):
    return endless_request(session, begin or PrefixOptions(), EndlessOptions(**options))[0]


def made(session, include_prefix=False, **options):
    return sample_endless(session, requested(session, **options), include_prefix)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Toy people with sentences; names beyond the eighth fill all parts."""
    return toy(tmp_path_factory.mktemp("toy") / "mocap", "mocap", 20)


@pytest.fixture(scope="module")
def model(tmp_path_factory, data):
    flags = f"--dataset mocap --arch dit --lr 0.02 --num_steps 12 --context_len {CONTEXT} --pred_len {WINDOW}"
    return train(tmp_path_factory.mktemp("dip") / "run", data, f"{flags} --multi_target_cond --lambda_target_loc 1")


def test_each_window_follows_the_frames_before_it():
    session = dip_session(text_prompt=(WALKS,), motion_length=2.0)
    motion = session.to_model(made(session).features)
    assert motion.shape == (2, 40, SPEC.features) and len(told(session)) == 4
    shown = [each["prefix"][2:] for each in told(session)]
    assert torch.equal(shown[0][0], session.to_model(standing(session.mean, LAYOUT, CONTEXT)))
    for index, prefix in enumerate(shown[1:], 1):
        before = torch.cat((shown[0], motion), 1)[:, index * WINDOW : index * WINDOW + CONTEXT]
        torch.testing.assert_close(prefix, before, atol=1e-4, rtol=0)


def test_guidance_hides_the_text_and_nothing_else():
    session = dip_session(samples=2, text_prompt=(WALKS,), motion_length=1.0, guidance_param=3.0)
    made(session, target=("right_wrist:0.2,1.2,0.5",))
    for each in told(session):
        assert all(len(value) == 4 for value in each.values())
        assert not each["text"][:2].any() and each["text"][2:].any()
        for name in ("prefix", "goal", "goal_asked", "lengths"):
            assert torch.equal(each[name][:2], each[name][2:]), name
        assert each["goal_asked"].any() and "goal_hidden" not in each


def test_a_motion_begins_with_the_frames_that_were_given():
    session = dip_session(text_prompt=(WALKS,), motion_length=2.0)
    clip = toy_features()[2]
    request = dataclasses.replace(requested(session), inputs={"prefix": clip[:CONTEXT].repeat(2, 1, 1)})
    whole, plain = sample_endless(session, request, include_prefix=True), sample_endless(session, request)
    assert torch.equal(whole.features[:, :CONTEXT], request.inputs["prefix"])
    assert torch.equal(whole.features[:, CONTEXT:], plain.features[:, : 40 - CONTEXT])
    assert plain.known is None
    assert torch.equal(whole.known, (torch.arange(40) < CONTEXT)[None, :, None].expand(2, 40, 22))


def test_nothing_is_made_where_what_is_given_fills_the_motion():
    session = dip_session(text_prompt=(WALKS,), motion_length=0.3)
    whole = made(session, include_prefix=True)
    assert whole.features.shape == (2, 6, SPEC.features) and not told(session)


def test_a_longer_motion_begins_as_a_shorter_one_and_samples_are_their_own():
    def motion(samples=1, **flags):
        return made(dip_session(samples=samples, text_prompt=(WALKS,), **flags)).features

    short, long, three = motion(motion_length=0.7), motion(motion_length=2.0), motion(3, motion_length=0.7)
    assert short.shape[1] == 14
    torch.testing.assert_close(long[:, :14], short, atol=1e-5, rtol=0)
    torch.testing.assert_close(three[:1], short, atol=1e-5, rtol=0)
    assert (three[1] - three[0]).abs().max() > 0.01 and (long[:, :12] - long[:, 12:24]).abs().max() > 0.01
    again = motion(motion_length=0.7, seed=1)
    assert (again - short).abs().max() > 0.01


def test_repetitions_follow_the_same_frames_with_other_noise():
    session = dip_session(text_prompt=(WALKS,), motion_length=0.6, num_repetitions=2)
    request = requested(session)
    assert request.inputs["prefix"].shape == (4, CONTEXT, SPEC.features) and request.titles == [WALKS] * 4
    features = sample_endless(session, request).features
    assert (features[0] - features[2]).abs().max() > 0.01


def test_prompts_follow_each_other_and_are_encoded_once():
    session = dip_session(text_prompt=(WALKS, WAVES, WALKS), motion_length=0.9)
    motions = made(session)
    assert motions.features.shape[1] == 3 * 18
    assert motions.titles == [[WALKS] * 18 + [WAVES] * 18 + [WALKS] * 18] * 2
    texts = [each["text"][2] for each in told(session)]
    expected, _ = session.encode([WALKS, WAVES])
    assert len(texts) == 6
    for text, prompt in zip(texts, (0, 0, 1, 1, 0, 0), strict=True):
        assert torch.equal(text, expected[prompt])
    assert sorted(session.encode.encoder.asked) == sorted((WALKS, WAVES))


def test_a_file_of_prompts_gives_a_window_to_each(tmp_path):
    (tmp_path / "prompts.txt").write_text(f"{WALKS}\n\n{WAVES}\n{WAVES}\n")
    session = dip_session(motion_length=0.1)
    motions = made(session, dynamic_text_path=str(tmp_path / "prompts.txt"))
    assert motions.features.shape[1] == 3 * WINDOW and motions.lengths.tolist() == [36, 36]
    expected, _ = session.encode([WALKS, WAVES])
    assert [bool((each["text"][2] == expected[1]).all()) for each in told(session)] == [False, True, True]


@pytest.mark.parametrize(
    ("titles", "first", "end", "whole_last", "found"),
    [
        (["a", "b"], 0, 10, False, [(0, 4), (4, 4), (8, 2)]),
        (["a"], 3, 10, False, [(3, 4), (7, 3)]),
        (["a"], 0, 10, True, [(0, 2), (2, 4), (6, 4)]),
        (["a"], 0, 8, True, [(0, 4), (4, 4)]),
        ([["a"] * 6 + ["b"] * 4, "c"], 0, 10, False, [(0, 4), (4, 2), (6, 4)]),
        ([["a"] * 6 + ["b"] * 3], 0, 9, True, [(0, 2), (2, 4), (6, 3)]),
        ([["a"] * 6 + ["b"] * 3, ["a"] * 3 + ["c"] * 6], 2, 9, False, [(2, 1), (3, 3), (6, 3)]),
        (["a"], 5, 3, False, []),
    ],
)
def test_windows_do_not_reach_over_a_change_of_prompt(titles, first, end, whole_last, found):
    assert spans(titles, first, end, 4, whole_last) == found


def test_without_prompts_each_motion_goes_on_as_its_caption_says(data):
    session = dip_session(samples=3, motion_length=0.6, folder=data)
    request = requested(session)
    prefix = request.inputs["prefix"]
    for features, title in zip(prefix, request.titles, strict=True):
        at = [
            name
            for name in (data / "test.txt").read_text().split()
            if any(title == line.caption for line in read_lines(data / "texts" / f"{name}.txt"))
            and _holds(np.load(data / "new_joint_vecs" / f"{name}.npy"), features.numpy())
        ]
        assert at, title
    one = find_prefix(dip_session(samples=1, folder=data), PrefixOptions(), 1)
    assert torch.equal(one.features[0], prefix[0]) and one.captions[0] == request.titles[0]
    assert not torch.equal(prefix[0], prefix[1])
    other = find_prefix(dip_session(folder=data, seed=1), PrefixOptions(), 1)
    assert not torch.equal(other.features[0], prefix[0])
    assert requested(dip_session(folder=data, text_prompt=(WAVES,))).titles == [WAVES] * 2


def _holds(clip: np.ndarray, part: np.ndarray) -> bool:
    """Whether a clip holds these frames, bit for bit."""
    return any(np.array_equal(clip[i : i + len(part)], part) for i in range(len(clip) - len(part) + 1))


def test_standing_still():
    mean = statistics()[0]
    mean[hml.feature_mask(LAYOUT, ["left_wrist", "left_elbow"], False)] += 0.2
    features = standing(mean, LAYOUT, 20)
    assert features.shape == (20, 263) and torch.equal(features, features[:1].expand(20, -1))
    blocks = hml.blocks(LAYOUT)
    for name in ("root_yaw", "root_velocity", "velocity"):
        torch.testing.assert_close(features[:, blocks[name]], torch.zeros_like(features[:, blocks[name]]))
    assert (features[:, blocks["contact"]] == 1).all()
    joints = hml.decode(features, LAYOUT)[0]
    assert joints[:, 1].argmax() == SPEC.skeleton.index("head") and joints[:, 1].min() == pytest.approx(0, abs=1e-3)
    assert 1.3 < joints[:, 1].max() < 1.8 and hml.heading(joints, LAYOUT).abs() < 0.05
    assert (joints - mirror(joints, SPEC.skeleton)).abs().max() < 0.04  # the left bones are not the right ones


def test_standing_in_millimetres(golden):
    """KIT-ML's skeleton, whose bones are not known."""
    with np.load(golden / "mdm" / "rep_synth_kit.npz") as record:
        mean = torch.from_numpy(record["hml/vec"]).mean(0)
    layout = hml.layout_of("kit21")
    joints = hml.decode(standing(mean, layout, 6), layout)
    assert joints.isfinite().all() and 1000 < joints[0, :, 1].max() < 2500
    torch.testing.assert_close(joints, joints[:1].expand(6, -1, -1))


def test_a_file_of_results_is_followed_to_the_bit(tmp_path):
    features = torch.stack([clip[:30] for clip in toy_features(2)])
    (tmp_path / "none.pth").touch()
    session = dataclasses.replace(dip_session(), path=tmp_path / "none.pth")
    motions = Samples(features, torch.tensor([25, 30]), ["a", "b"])
    results.write(tmp_path / "r.npy", features_content(session, motions))
    shown = find_prefix(session, PrefixOptions(str(tmp_path / "r.npy")), 3)
    assert shown.features.shape[0] == 3 and torch.equal(shown.features[1], features[0, 25 - CONTEXT : 25])
    assert shown.source.endswith("(the first of the file's 2 motions; --clip names another)")
    shown = find_prefix(session, PrefixOptions(str(tmp_path / "r.npy"), clip="sample01_rep00"), 1)
    assert torch.equal(shown.features[0], features[1, -CONTEXT:]) and "first of" not in shown.source
    np.save(tmp_path / "f.npy", features[1].numpy())
    shown = find_prefix(session, PrefixOptions(str(tmp_path / "f.npy")), 1)
    assert torch.equal(shown.features[0], features[1, -CONTEXT:]) and str(tmp_path) in shown.source


@pytest.mark.parametrize("fps", [20.0, 30.0])
def test_any_motion_of_a_person_is_followed(tmp_path, fps):
    """The features are those of its last frames but one, at the rate of the model."""
    session, path = dip_session(), tmp_path / "walk.npz"
    positions = write_positions(path, 46, fps)
    shown = find_prefix(session, PrefixOptions(str(path)), 1).features[0]
    frames = math.floor(45 * 20 / fps + 1e-6) + 1
    last = frames - 2
    placed = hml.place([torch.from_numpy(positions)], LAYOUT)[0]
    height = np.interp((last - np.arange(CONTEXT)[::-1]) * fps / 20, np.arange(46), placed[:, 0, 1].numpy())
    np.testing.assert_allclose(shown[:, 3].numpy(), height, atol=2e-3)


def test_what_was_concluded_of_a_prefix_is_said(tmp_path):
    write_positions(tmp_path / "walk.npz", 46, 20.0)
    shown = find_prefix(dip_session(), PrefixOptions(str(tmp_path / "walk.npz"), scale=40.0), 1)
    assert re.search(r"walk\.npz \(.*m tall \(--scale says the unit\)", shown.source)


@pytest.mark.parametrize(
    ("frames", "joints", "message"), [(CONTEXT, 22, "makes 7 frames of features at 20 a second; the model is shown 8"),
                                      (30, 21, "joint")]
)  # fmt: skip
def test_motion_that_cannot_be_followed(tmp_path, frames, joints, message):
    write_positions(tmp_path / "m.npz", frames, joints=joints)
    with pytest.raises(DataError, match=message):
        find_prefix(dip_session(), PrefixOptions(str(tmp_path / "m.npz")), 1)


def test_the_world_goes_on_where_a_window_ends():
    clip = toy_features()[0][None, :60] + torch.tensor((0.02, 0.01, 0.03) + (0.0,) * 260)
    whole = hml.decode(clip.double(), LAYOUT, origin(1))
    start = (torch.tensor([0.7], dtype=torch.float64), torch.tensor([[3.0, -2.0]], dtype=torch.float64))
    for first in (origin(1), start):
        here, parts = first, []
        for part in clip.split((7, 20, 1, 32), dim=1):
            parts.append(hml.decode(part.double(), LAYOUT, here))
            here = advanced(part, here)
        torch.testing.assert_close(torch.cat(parts, 1), hml.decode(clip.double(), LAYOUT, first), atol=1e-6, rtol=0)
    assert (whole[0, -1, 0] - whole[0, 0, 0]).norm() > 1


def test_windows_say_where_they_begin():
    session = dip_session(samples=2)
    prefix = find_prefix(session, PrefixOptions(), 2).features
    asked = []

    def ask(index, here):
        asked.append((index, here))
        return {}, 5 + index

    found = [window for _, window in zip(range(4), windows(session, prefix, ask, origin(2)), strict=False)]
    assert [window.features.shape[1] for window in found] == [5, 6, 7, 8]
    assert [index for index, _ in asked] == list(range(4))
    features = torch.cat([window.features for window in found], 1).double()
    placed = torch.cat([hml.decode(window.features.double(), LAYOUT, window.start) for window in found], 1)
    torch.testing.assert_close(placed, hml.decode(features, LAYOUT), atol=1e-5, rtol=0)
    for window, (_, here) in zip(found, asked, strict=True):
        assert torch.equal(window.start[1], here[1])


def test_targets_are_read_in_metres_and_degrees():
    session = dip_session()
    said = read_targets(session, ["right_wrist:0.3,1.2,-2", "traj:1,2e0", "heading:-90"], 3)
    assert said["goal"].shape == (3, 8, 3) and torch.equal(said["goal"][0], said["goal"][2])
    goal = dict(zip(GOALS, said["goal"][0], strict=True))
    torch.testing.assert_close(goal["right_wrist"], torch.tensor((0.3, 1.2, -2.0)))
    torch.testing.assert_close(goal["traj"], torch.tensor((1.0, 0.0, 2.0)))
    torch.testing.assert_close(goal["heading"], torch.tensor((-math.pi / 2, 0.0, 0.0)))
    assert [name for name, asked in zip(GOALS, said["goal_asked"][1], strict=True) if asked] == [
        "right_wrist", "traj", "heading"
    ]  # fmt: skip
    kit = dataclasses.replace(session, spec=dataset_spec("kit"))
    said = read_targets(kit, ["RW:0.3,1.2,-2", "root:0,1,1"], 1)
    torch.testing.assert_close(said["goal"][0, GOALS.index("right_wrist")], torch.tensor((300.0, 1200.0, -2000.0)))
    assert said["goal_asked"][0].tolist() == [name in ("pelvis", "right_wrist") for name in GOALS]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("right_writs:1,2,3", "unknown joint 'right_writs'; did you mean right_wrist"),
        ("left_knee:1,2,3", "unknown joint 'left_knee'"),
        ("head:1,2", "say head:x,y,z"),
        ("head", "say head:x,y,z"),
        ("traj:1,2,3", "say traj:x,z"),
        ("heading:left", "say heading:degrees"),
        ("head:1,nan,2", "say head:x,y,z"),
    ],
)
def test_targets_that_say_nothing(text, message):
    with pytest.raises(UsageError, match=f"--target {text}: {message}"):
        read_targets(dip_session(), [text], 1)


def test_a_target_is_told_once():
    with pytest.raises(UsageError, match="head is told twice"):
        read_targets(dip_session(), ["head:1,2,3", "head:1,2,4"], 1)


def somewhere(count: int) -> hml.Start:
    draws = torch.Generator().manual_seed(3)
    angles = 6 * torch.rand(count, generator=draws, dtype=torch.float64) - 3
    return angles, 4 * torch.randn(count, 2, generator=draws, dtype=torch.float64)


def test_the_last_window_is_told_the_target_as_it_sees_it():
    """What a window reaches, told in the world, is what it is told of itself."""
    session = dip_session()
    clips = torch.stack([clip[:WINDOW] for clip in toy_features()])
    start = somewhere(4)
    reached = goals_reached(clips, torch.full((4,), WINDOW), LAYOUT, GOALS)
    end = hml.decode(clips.double(), LAYOUT, start)[:, -1]
    goal = torch.zeros(4, 8, 3)
    for name in ("left_foot", "right_wrist", "head"):
        goal[:, GOALS.index(name)] = end[:, SPEC.skeleton.index(name)].float()
    goal[:, GOALS.index("traj"), ::2] = end[:, 0, ::2].float()
    goal[:, -1, 0] = hml.heading(end, LAYOUT).float()
    for names in (("left_foot", "heading"), ("right_wrist", "head", "traj", "heading"), ("heading",)):
        asked = torch.tensor([name in names for name in GOALS]).expand(4, -1)
        shown = aimed(session, {"goal": goal, "goal_asked": asked}, start, left=0)
        assert torch.equal(shown["goal_asked"], asked)
        torch.testing.assert_close(shown["goal"], reached * asked[..., None], atol=1e-5, rtol=0)


def test_the_way_to_a_target_is_shared_evenly():
    """Who goes where each window is told arrives, in steps of one length, and faces the way until the last window."""
    session = dip_session(samples=3)
    said = read_targets(session, ["left_wrist:4,1.3,-3", "heading:10"], 3)
    place = torch.tensor(((0.0, 0.0), (1.0, 5.0), (3.9, -3.0)), dtype=torch.float64)
    start = place
    heading = torch.tensor((0.3, -2.0, 3.0), dtype=torch.float64)
    for left in (3, 2, 1):
        shown = aimed(session, said, (heading, place), left)
        assert shown["goal_asked"].tolist() == [[name in ("traj", "heading") for name in GOALS]] * 3
        step, turn = shown["goal"][:, GOALS.index("traj")].double(), shown["goal"][:, -1, 0].double()
        assert not shown["goal"][:, :6].any() and not step[:, 1].any()
        cos, sin = heading.cos(), heading.sin()
        place = place + torch.stack((cos * step[:, 0] + sin * step[:, 2], cos * step[:, 2] - sin * step[:, 0]), 1)
        heading = wrapped(heading + turn)
        torch.testing.assert_close(
            place, start + (4 - left) / 4 * (torch.tensor((4.0, -3.0)) - start), atol=1e-5, rtol=0
        )
    way = torch.tensor((4.0, -3.0)) - start
    torch.testing.assert_close(heading[:2], torch.atan2(way[:2, 0], way[:2, 1]), atol=1e-5, rtol=0)
    # The third stands there already, and turns a quarter of what is left of the way round at a time.
    turned = wrapped(torch.tensor(math.radians(10) - 3.0, dtype=torch.float64))
    torch.testing.assert_close(heading[2], wrapped(3.0 + 0.75 * turned), atol=1e-5, rtol=0)
    last = aimed(session, said, (heading, place), 0)
    torch.testing.assert_close(
        wrapped(last["goal"][:, -1, 0].double() + heading), torch.full((3,), math.radians(10), dtype=torch.float64),
        atol=1e-5, rtol=0,
    )  # fmt: skip


def test_who_is_told_no_heading_faces_the_way():
    session = dip_session(samples=2)
    said = read_targets(session, ["traj:0,-2"], 2)
    here = (torch.tensor((0.5, 0.5), dtype=torch.float64), torch.tensor(((0.0, 0.0), (0.1, -2.0)), dtype=torch.float64))
    shown = aimed(session, said, here, 0)
    assert shown["goal_asked"][:, -1].all()
    torch.testing.assert_close(shown["goal"][:, -1, 0], torch.tensor((math.pi - 0.5, 0.0)), atol=1e-6, rtol=0)


def test_targets_reach_the_model_and_end_with_a_whole_window():
    session = dip_session(samples=1, text_prompt=(WALKS,), motion_length=1.5)
    made(session, target=("traj:0,3", "heading:0"))
    seen = told(session)
    assert len(seen) == 3  # of 6, 12 and 12 frames
    assert all(each["goal_asked"][0].tolist() == [name in ("traj", "heading") for name in GOALS] for each in seen)
    first = dict(zip(GOALS, seen[0]["goal"][0], strict=True))
    torch.testing.assert_close(first["traj"], torch.tensor((0.0, 0.0, 1.0)), atol=1e-6, rtol=0)
    plain = dip_session(samples=1, text_prompt=(WALKS,), motion_length=1.5)
    made(plain)
    assert "goal" not in told(plain)[0]


def test_the_frames_before_count_in_where_a_target_is():
    """With the prefix in the motion, the world is that of the prefix's first frame."""
    session = dip_session(samples=1, text_prompt=(WALKS,), motion_length=1.0)
    clip = next(clip for clip in toy_features(8) if hml.root_motion(clip)[1][CONTEXT, ::2].norm() > 0.1)
    request = requested(session, target=("traj:0,0",))
    request = dataclasses.replace(request, inputs={"prefix": clip[None, :CONTEXT]})
    sample_endless(session, request, include_prefix=True)
    place = told(session)[0]["goal"][0, GOALS.index("traj")]
    root = hml.root_motion(clip)[1][CONTEXT]
    assert place.norm() == pytest.approx(float(root[::2].norm()), rel=1e-4)


class Walker(torch.nn.Module):
    """A model that knows one thing: to glide to where it is told, turning evenly, in the pose of the data's mean."""

    def __init__(self, mean: torch.Tensor, std: torch.Tensor):
        super().__init__()
        self.mean, self.std, self.pose = mean, std, standing(mean, LAYOUT, WINDOW)

    def forward(self, x, step, condition):
        share = torch.cat((torch.linspace(0, 1, WINDOW), torch.ones(1)))
        goal = condition["goal"]
        path = share[:, None] * goal[:, GOALS.index("traj"), None, ::2]
        features = self.pose.repeat(len(x), 1, 1)
        features[..., :3] = hml.path_features(path, share * goal[:, -1, :1])
        return (features - self.mean) / self.std


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("seconds", [0.6, 1.5, 3.0])
def test_a_model_that_does_as_it_is_told_arrives(given, seconds):
    """The last frame is at the target in the world of the result, however many windows that took."""
    session = dip_session(text_prompt=(WALKS,), motion_length=seconds + given * CONTEXT / SPEC.fps)
    session = dataclasses.replace(session, model=Walker(session.mean, session.std))
    request = requested(session, target=("traj:1.5,-2", "heading:120"))
    shown = torch.stack([clip[:CONTEXT] for clip in toy_features(2)])
    motions = sample_endless(session, dataclasses.replace(request, inputs={"prefix": shown}), include_prefix=given)
    joints = session.joints(motions.features)
    assert joints.shape[1] == round(seconds * SPEC.fps) + given * CONTEXT
    torch.testing.assert_close(joints[:, -1, 0, ::2], torch.tensor(((1.5, -2.0), (1.5, -2.0))), atol=1e-3, rtol=0)
    turned = hml.heading(joints[:, -1], LAYOUT) - math.radians(120)
    torch.testing.assert_close(turned, hml.heading(session.joints(session.model.pose), LAYOUT)[:2], atol=1e-3, rtol=0)


def test_models_that_make_motions_whole_are_told_targets_too():
    session = dip_session(samples=2, text_prompt=(WALKS,), motion_length=1.0)
    request = aimed_request(session, EndlessOptions(target=("head:0,1.5,1",)))
    assert request.condition["goal_asked"].tolist() == [[name in ("head", "heading") for name in GOALS]] * 2
    assert "text" in request.condition and "goal" not in aimed_request(session, EndlessOptions()).condition
    several = dip_session(text_prompt=(WALKS, WAVES), motion_length=3.0)
    with pytest.raises(UsageError, match="give one prompt"):
        aimed_request(several, EndlessOptions(target=("head:0,1.5,1",)))


def test_models_without_text_go_on_too():
    session = dip_session(text=False, motion_length=1.0)
    assert made(session).features.shape == (2, 20, SPEC.features)
    assert all("text" not in each and len(each["prefix"]) == 2 for each in told(session))
    with pytest.raises(UsageError, match="this model reads no text"):
        requested(session, dynamic_text_path="x")


def test_joint_rotations_are_not_made_window_after_window():
    session = dataclasses.replace(dip_session(), spec=dataset_spec("humanact12"))
    with pytest.raises(UsageError, match="motion of humanact12 is not made window after window"):
        find_prefix(session, PrefixOptions(), 1)


def test_whole_commands(model, data, tmp_path, capsys):
    """A model that is shown a prefix goes on without being told to; every file is there."""
    line = ("sample.generate", "--model_path", model, "--datapath", data, "--num_samples 2 --motion_length 1.7")
    run(*line, "--text_prompt", WALKS, "--output_dir", tmp_path / "plain")
    assert f"each motion follows one of the test part of {data}" in capsys.readouterr().out
    run(*line, "--autoregressive --target traj:0,1 heading:30 --text_prompt", WALKS, "--output_dir", tmp_path / "aim")
    (tmp_path / "texts").write_text(f"{WALKS}\n{WAVES}\n")
    run(
        *line, "--output_dir", tmp_path / "two", "--prefix_motion", tmp_path / "plain" / "results.npy",
        "--autoregressive_include_prefix --dynamic_text_path", tmp_path / "texts",
    )  # fmt: skip
    assert f"the motion follows {tmp_path / 'plain'}" in capsys.readouterr().out
    plain, aim, two = (results.load(tmp_path / name / "results.npy") for name in ("plain", "aim", "two"))
    assert plain["motion"].shape == aim["motion"].shape == (2, 22, 3, 34)
    assert np.abs(plain["features"] - aim["features"]).max() > 1e-4
    assert two["motion"].shape == (2, 22, 3, 2 * WINDOW) and two["text"] == [[WALKS, WAVES]] * 2
    assert np.array_equal(two["features"][0, :CONTEXT], plain["features"][0, -CONTEXT:])
    assert set(listing(tmp_path / "two")) >= {"results.npy", "results.txt", "contact_sheet.png", "samples_00_to_01.mp4"}


def test_what_is_refused(model, data, tmp_path, capsys):
    whole = train(tmp_path / "whole", data, "--dataset mocap --arch dit", base=TINY)
    before = listing(tmp_path)
    line = ("sample.generate", "--text_prompt walks --output_dir", tmp_path / "out", "--model_path")
    for flag in ("--autoregressive", "--autoregressive_include_prefix", "--prefix_motion standing"):
        said = refusal(capsys, 2, *line, whole, flag)
        assert said.endswith(f"{whole} is shown no frames before a motion (--context_len 0 in training)"), said
    assert "was not trained with any" in refusal(capsys, 2, *line, whole, "--target traj:0,1")
    assert "no simulator is read" in refusal(capsys, 2, *line, model, "--autoregressive_init isaac")
    assert "leave out --text_prompt" in refusal(capsys, 2, *line, model, "--dynamic_text_path x")
    assert "unknown joint 'nose'" in refusal(capsys, 2, *line, model, "--target nose:0,1,2")
    assert "none.npy does not exist" in refusal(capsys, 3, *line, model, "--prefix_motion", tmp_path / "none.npy")
    line = ("sample.generate", "--output_dir", tmp_path / "out", "--model_path")
    missing = refusal(capsys, 3, *line, model, "--dynamic_text_path none")
    assert "--dynamic_text_path: none does not exist" in missing
    assert listing(tmp_path) == before


def test_a_dataset_without_a_test_part_is_said(data, tmp_path):
    (tmp_path / "Mean.npy").write_bytes((data / "Mean.npy").read_bytes())
    with pytest.raises(MissingFileError):
        find_prefix(dip_session(folder=tmp_path), PrefixOptions(), 1)
