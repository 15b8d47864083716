"""Motion made from motion: bent paths, joined kinds, steps, arms on the way; sides, bones, feet, order, parts."""

import json
from functools import cache

import numpy as np
import pytest
import torch

from data_loaders.captioner.detect import phases_of
from data_loaders.representations import hml
from data_loaders.text.captions import labels_in
from prepare import humanml
from prepare.text.folder import Clip
from prepare.text.in_place import on_its_way
from prepare.text.made import Amounts, made_from
from prepare.text.making.bending import Curve, bent, distances
from prepare.text.making.bent import SHAPES, bent_clips
from prepare.text.making.both import while_clips, with_arms
from prepare.text.making.joined import joined_clips
from prepare.text.making.joining import Piece, assembled, best_link, repeated
from prepare.text.making.material import Material, materials_of
from prepare.text.making.stances import BODY, FEET, LAYOUT, contacts_of, rigid, turned_about_y, with_feet_at
from prepare.text.making.varied import reversed_clips, tempo_clips
from tests.people import standing_smpl22
from utils.geometry.contacts import sliding
from utils.geometry.motion import Motion
from utils.run.errors import DataError, UsageError

FPS = 20.0
NAMES = {name: BODY.index(name) for name in BODY.joints}


def stood(frames: int) -> np.ndarray:
    """Somebody of the layout's bones [frames, 22, 3] who stands with hanging arms and bent knees, facing +z."""
    points = hml.place([np.repeat(standing_smpl22()[None], 2, 0)], LAYOUT)[0].double().numpy()[:1]
    for side, way in (("left", 1), ("right", -1)):
        shoulder = points[:, NAMES[f"{side}_shoulder"]]
        for name, low in (("elbow", 0.25), ("wrist", 0.5)):
            points[:, NAMES[f"{side}_{name}"]] = shoulder + (way * 0.05, -low, 0)
    points = rigid(torch.from_numpy(points))
    points[..., 1] -= 0.06
    return with_feet_at(np.repeat(points, frames, 0), np.tile((0.0, 0.06, 0.0), (2, frames, 1)), FPS)


@cache
def walking(frames: int = 121, speed: float = 1.0, period: float = 1.2) -> np.ndarray:
    """Somebody [frames, 22, 3] who walks along z; each foot stands for three fifths of a period."""
    time = np.arange(frames) / FPS
    points = stood(frames)
    points[..., 2] += speed * time[:, None]
    moved = np.zeros((2, frames, 3))
    for leg, offset in enumerate((0.0, 0.5)):
        phase = time / period + offset
        swing = ((phase % 1 - 0.6) / 0.4).clip(0, 1)
        place = speed * period * (np.floor(phase) + swing**2 * (3 - 2 * swing) - offset + 0.3)
        moved[leg, :, 2] = place - speed * time
        moved[leg, :, 1] = 0.08 * np.sin(np.pi * swing) ** 2
    return with_feet_at(points, moved, FPS)


def waving(frames: int = 61) -> np.ndarray:
    """Somebody [frames, 22, 3] who stands, and raises the left arm in the middle."""
    points = stood(frames)
    angle = np.pi * 0.9 * np.sin(np.pi * np.linspace(0, 1, frames)) ** 2
    shoulder = points[:, NAMES["left_shoulder"]]
    way = np.stack([np.sin(angle), -np.cos(angle), 0 * angle], -1)
    for name, length in (("elbow", 16), ("wrist", 18)):
        far = sum(LAYOUT.lengths[joint] for joint in (18, 20)[: 1 if length == 16 else 2])
        points[:, NAMES[f"left_{name}"]] = shoulder + way * far
    return rigid(torch.from_numpy(points))


def clip(points: np.ndarray, name: str, label: str, split: str = "train") -> Clip:
    record = {"name": name, "source": "lab", "actions": [label], "style": "", "split": split, "licence": "none"}
    return Clip(points.astype(np.float32), record | {"content": label, "texts": [], "told_test": False})


@cache
def people() -> tuple[Clip, ...]:
    walks = [clip(walking(161, speed), f"walk{speed}", "walk") for speed in (0.9, 1.0, 1.1)]
    waves = [clip(waving(frames), f"wave{frames}", "wave-left-hand") for frames in (61, 71)]
    return (*walks, *waves, clip(stood(100), "stand", "idle"), clip(walking(161, 0.8), "kept", "walk", "test"))


@cache
def materials() -> tuple[Material, ...]:
    return tuple(materials_of([c for c in people() if c.record["split"] == "train"], FPS))


def of(name: str) -> Material:
    return next(m for m in materials() if m.clip.record["name"] == name)


def headings(points: np.ndarray) -> np.ndarray:
    return np.unwrap(hml.heading(torch.from_numpy(np.asarray(points, np.float64)), LAYOUT).numpy())


def bones(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, 1:] - points[:, list(BODY.parents[1:])], axis=-1)


def bent_walk(turn: float) -> np.ndarray:
    points = walking()
    way = distances(points, FPS)
    return bent(points, Curve((turn,), (way[-1],), ease=0.0).heading(way), contacts_of(points, FPS), FPS)


@pytest.mark.parametrize("degrees", [90, -90, 360, -200])
def test_a_path_is_bent_to_the_side_that_was_asked_for(degrees):
    points = bent_walk(np.radians(degrees))
    turned = headings(points)
    assert np.degrees(turned[-1] - turned[0]) == pytest.approx(degrees, abs=6)
    if abs(degrees) == 90:
        assert np.sign(points[-1, 0, 0]) == np.sign(degrees), "left is +x for who faced +z"
    if degrees == 360:
        far = np.linalg.norm(points[:, 0, ::2] - points[0, 0, ::2], axis=-1)
        assert far[-1] < 0.35 * far.max(), "a circle comes back"
    (walk,) = (p for p in phases_of(points, FPS) if p.kind == "walk")
    assert np.degrees(walk.turned) == pytest.approx(degrees, abs=12)


def test_a_bent_path_keeps_feet_bones_and_speed():
    points, source = bent_walk(np.radians(270)), walking()
    assert np.abs(bones(points) - bones(source)).max() < 1e-6
    assert sliding(points, FPS, FEET) <= 1.3 * sliding(source, FPS, FEET) + 0.01
    assert distances(points, FPS)[-1] == pytest.approx(distances(source, FPS)[-1], rel=0.05)
    assert points[..., 1].min() > -0.005


def test_who_turns_left_leans_left():
    """Neck over pelvis, seen along the path."""
    for sign in (1, -1):
        points, middle = bent_walk(sign * np.pi), 60
        over = points[middle, NAMES["neck"]] - points[middle, [NAMES["left_foot"], NAMES["right_foot"]]].mean(0)
        ahead = headings(points)[middle]
        left = over[[0, 2]] @ (np.cos(ahead), -np.sin(ahead))
        assert sign * left > 0.01


def test_bending_the_mirror_image_is_the_mirror_image_of_bending():
    points = walking()
    way, flip = distances(points, FPS), np.array([-1, 1, 1])
    turn = Curve((0.0, 1.5), (1.0, 3.0)).heading(way)
    mirrored = points[:, list(BODY.mirror)] * flip
    there = bent(mirrored, -turn, contacts_of(mirrored, FPS), FPS)
    here = bent(points, turn, contacts_of(points, FPS), FPS)[:, list(BODY.mirror)] * flip
    np.testing.assert_allclose(there, here, atol=1e-6)


def test_a_curve_turns_part_by_part():
    curve = Curve((0.0, 1.0, -0.5), (1.0, 2.0, 1.0), ease=0.2)
    np.testing.assert_allclose(curve.heading(np.array([0.0, 1.0, 2.0, 3.0, 4.0, 9.0])), [0, 0, 0.5, 1, 0.5, 0.5])
    assert np.diff(curve.heading(np.linspace(1, 3, 100))).min() >= 0


def test_a_gait_goes_on_and_on():
    material = of("walk1.0")
    points, contacts = repeated(material, 300)
    assert points.shape == (300, 22, 3) and contacts.shape == (300, 22)
    steps = np.diff(points[:, 0, 2]) * FPS
    assert steps.mean() == pytest.approx(1.0, abs=0.05) and np.abs(points[:, 0, 0]).max() < 0.2
    assert sliding(points, FPS, FEET) < 0.03
    (short,) = materials_of([clip(walking()[:12], "short", "walk")], FPS)
    assert repeated(short, 300) is None


def test_shapes_say_the_side_that_they_turn_to():
    made = bent_clips(materials(), len(SHAPES), 1)
    assert len(made) > 4
    for each in made:
        turned = headings(each.positions)
        assert turned[-1] - turned[0] == pytest.approx(each.record["turned"], abs=0.15)
        name = each.record["name"].split(":")[2]
        if name in ("circle", "corner", "arc") and each.record["texts"]:
            left = each.record["turned"] > 0
            words = ("left", "counterclockwise") if left else ("right", " clockwise")
            assert all(any(word in text for word in words) for text in each.record["texts"])
            assert not any(("right" if left else "left") in text for text in each.record["texts"])
        assert len(each.positions) <= 9.8 * FPS


def test_a_step_brings_somebody_who_walks_to_stand():
    walk, stand = of("walk1.0"), of("stand")
    link = best_link(walk, np.arange(30, 70), stand, np.arange(10))
    assert link is not None and link.step is not None
    pieces = [Piece(walk, 0, link.end), Piece(stand, link.start, 60, link.step)]
    points, contacts, spans = assembled(pieces)
    assert [end - first for first, end in spans] == [piece.frames for piece in pieces]
    assert len(points) == len(contacts) == sum(piece.frames for piece in pieces) + link.step.frames - 1
    assert sliding(points, FPS, FEET) < 0.05
    assert np.linalg.norm(np.diff(points, axis=0), axis=-1).max() * FPS < 5, "nobody jumps from place to place"
    assert np.abs(bones(points) - np.array(LAYOUT.lengths[1:])).max() < 1e-4
    assert [p.kind for p in phases_of(points, FPS) if p.kind in ("walk", "stand")] == ["walk", "stand"]
    assert points[-1, 0, 2] > points[link.end - 1, 0, 2] > 1, "it goes on ahead"


def test_a_step_follows_in_the_direction_that_somebody_faces():
    """The whole, turned, is the turned first motion and the second after it."""
    stand, walk = of("stand"), of("walk1.0")
    turned = materials_of([clip(turned_about_y(stand.points, np.array(1.0)), "turned", "idle")], FPS)[0]
    for first in (stand, turned):
        link = best_link(first, np.arange(20, 30), walk, np.arange(40))
        points, _, _ = assembled([Piece(first, 0, link.end), Piece(walk, link.start, 100, link.step)])
        ahead = points[-1, 0] - points[0, 0]
        facing = headings(points)[0]
        assert np.arctan2(ahead[0], ahead[2]) == pytest.approx(facing, abs=0.15)


def test_joined_clips_tell_their_parts_in_order():
    made = joined_clips(materials(), [], 16, 3)
    assert len(made) > 10
    for each in made:
        parts = each.record["parts"]
        assert [part["name"] for part in parts] == each.record["made"]["of"]
        assert all(a["end"] <= b["start"] for a, b in zip(parts[:-1], parts[1:], strict=True))
        assert parts[-1]["end"] == pytest.approx(len(each.positions) / FPS, abs=0.11)
        if [part["content"] for part in parts] == ["wave-left-hand", "walk"]:
            walked = next(p for p in phases_of(each.positions, FPS) if p.kind == "walk")
            assert walked.start > parts[0]["end"] - 0.5
            waved = [p for p in phases_of(each.positions, FPS) if "arm" in p.kind or p.kind == "wave"]
            assert all(p.side == "left" and p.start < walked.start for p in waved)
    assert {"wave-left-hand", "walk", "idle"} <= {part["content"] for each in made for part in each.record["parts"]}


def test_arms_of_a_gesture_on_somebody_who_walks():
    below, gesture = walking(61), waving(61)
    points = with_arms(below, turned_about_y(gesture, np.array(2.0)), ("left",), 6)
    legs = [joint for joint, name in enumerate(BODY.joints) if not name.endswith(("elbow", "wrist", "shoulder"))]
    np.testing.assert_allclose(points[:, legs], below[:, legs], atol=1e-6)
    middle = len(points) // 2
    assert points[middle, NAMES["left_wrist"], 1] > points[middle, NAMES["left_shoulder"], 1] + 0.3
    assert points[middle, NAMES["right_wrist"], 1] < points[middle, NAMES["right_shoulder"], 1]
    side = points[middle - 10, NAMES["left_wrist"]] - points[middle - 10, NAMES["left_shoulder"]]
    assert side[0] > 0.05, "the arm is raised by the side of the one who walks, however the other stood"
    assert np.abs(bones(points) - bones(below)).max() < 1e-4


def test_who_waves_on_the_way_does_it_with_the_arm_that_is_told():
    (made,) = while_clips(materials(), 1, 0)
    wrists = made.positions[:, [NAMES["left_wrist"], NAMES["right_wrist"]], 1]
    assert np.ptp(wrists[:, 0]) > 0.4 > np.ptp(wrists[:, 1])
    assert all("while" in text and "right" not in text for text in made.record["texts"])


def test_backwards_a_walk_goes_backwards():
    (made,) = (c for c in reversed_clips(materials(), 9, 0) if c.record["made"]["of"] == ["walk0.9"])
    assert made.record["content"] == "walk-back" and made.record["actions"] == ["walk-back"]
    (walk,) = (p for p in phases_of(made.positions, FPS) if p.kind == "walk")
    assert walk.direction == "backward"
    assert not any("walk1.1" in c.record["made"]["of"] for c in reversed_clips(materials(), 9, 0)), "too fast for that"


def test_tempo_changes_speed_not_places():
    for made in tempo_clips(materials(), 12, 0):
        source, rate = of(made.record["made"]["of"][0]), made.record["tempo"]
        assert 0.8 <= rate <= 1.25 and abs(rate - 1) > 0.05
        assert len(made.positions) == pytest.approx(len(source.points) / rate, abs=2)
        np.testing.assert_allclose(made.positions[0], source.points[0], atol=1e-6)


def test_what_is_made_depends_on_the_seed_and_stays_in_its_part():
    amounts = Amounts(bent=0.4, joined=0.8, looped=0.3, reversed=0.5, tempo=0.5, both=0.5)
    one, same, other = (made_from(people(), FPS, seed, amounts) for seed in (1, 1, 2))
    assert len(one) > 8 and [c.record for c in one] == [c.record for c in same]
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)
    assert [c.record["name"] for c in one] != [c.record["name"] for c in other]
    assert {c.record["split"] for c in one} == {"train"}
    assert not any("kept" in c.record["made"]["of"] for c in one), "nothing is made of what is tested on"
    hows = {c.record["made"]["how"] for c in one}
    assert hows == {"bent", "joined", "reversed", "tempo", "while"}
    assert all(c.record["name"].startswith(f"{c.record['made']['how']}:") and c.record["source"] == "made" for c in one)
    assert all(np.isfinite(c.positions).all() and c.record["parts"] for c in one)
    assert made_from([], FPS, 0) == []


def test_a_gait_in_place_gets_its_path():
    points = walking(61).copy()
    points[..., 2] -= points[:, :1, 2]
    still = Motion(points.astype(np.float32), FPS, BODY.joints, BODY.parents, name="Walk_Loop")
    moved, labels = on_its_way(still, ["walk"])
    assert labels == ["walk"] and moved.positions[-1, 0, 2] - moved.positions[0, 0, 2] == pytest.approx(3.0, abs=0.5)
    assert on_its_way(still, ["wave"])[0] is still
    frozen = Motion(stood(61).astype(np.float32), FPS, BODY.joints, BODY.parents, name="Walk")
    assert on_its_way(frozen, ["walk"]) == (frozen, ["move"]), "feet that stand tell no path"


def test_names_of_animation_libraries():
    names = {
        "Rig|Sit_Chair_Down": "sit-down", "Sit_Chair_StandUp": "stand-up", "Sitting_Exit": "stand-up",
        "Lie_Down": "lie-down", "Lie_StandUp": "get-up", "Sitting_Idle_Loop": "seated",
        "Crouch_Fwd_Loop": "crouch-walk",
        "Walking_Backwards": "walk-back", "Ranged_Bow_Draw": "move", "Bow": "bow", "Sit_Ups": "exercise",
    }  # fmt: skip
    assert {name: labels_in(name) for name in names} == {name: [label] for name, label in names.items()}


def test_the_command_adds_them(tmp_path):
    (tmp_path / "in").mkdir()
    for each in people()[:4]:
        np.save(
            tmp_path / "in" / f"{each.record['content'].replace('-', '_')}_{each.record['name']}.npy", each.positions
        )
    line = ["--sources", str(tmp_path / "in"), "--test_share", "0", "--val_share", "0", "--mirror", "False"]
    humanml.main([*line, "--output_dir", str(tmp_path / "out"), "--made_share", "0.5"])
    index = json.loads((tmp_path / "out" / "index.json").read_text())["clips"]
    made = [record for record in index.values() if record["source"] == "made"]
    assert made and len(index) == 4 + len(made)
    humanml.main([*line, "--output_dir", str(tmp_path / "cut"), "--spans", "walk_walk0.9:1:3"])
    frames = {
        name: r["frames"] for name, r in json.loads((tmp_path / "cut" / "index.json").read_text())["clips"].items()
    }
    assert sorted(frames.values()) == [39, 60, 160, 160]
    for wrong in ("walk_walk0.9", "walk_walk0.9:3:1", "nobody:0:1"):
        with pytest.raises(UsageError, match="--spans"):
            humanml.main([*line, "--output_dir", str(tmp_path / "no"), "--spans", wrong])
    with pytest.raises(DataError, match="the clip has 8"):
        line[1] = str(tmp_path / "in" / "walk_walk0.9.npy")
        humanml.main([*line, "--output_dir", str(tmp_path / "no"), "--spans", "walk_walk0.9:20:30"])
