"""Bones as programs draw them: along the limbs, with mirrored axes on both sides."""

import dataclasses
import json
import struct

import numpy as np
import pytest
import torch

from body.models import load_body
from tests import skinned
from tests.bodies import small_body, walking
from utils.formats import glb
from utils.geometry.bone_frames import bone_frames, bone_ways
from utils.geometry.rotations import quaternion_to_matrix

FREE = load_body("free").shaped()


def test_bones_lead_to_the_next_joint():
    ways, at = bone_ways(FREE), FREE.joints.index
    for joint, child in (("left_hip", "left_knee"), ("right_shoulder", "right_elbow"), ("pelvis", "spine1"),
                         ("spine3", "neck"), ("left_wrist", "left_hand")):  # fmt: skip
        np.testing.assert_allclose(ways[at(joint)], FREE.offsets[at(child)])
    assert ways[at("head")][1] > 0.1 and abs(ways[at("head")][0]) < 0.02
    assert ways[at("left_foot")][2] > 0.03


def test_a_joint_whose_children_are_all_aside_leads_to_their_middle():
    body = small_body(joints=("pelvis", "left_hip", "right_hip"))
    np.testing.assert_allclose(bone_ways(body)[0], body.offsets[1:].mean(0), atol=1e-6)


def test_axes_are_right_handed_and_mirrored():
    frames = bone_frames(FREE)
    np.testing.assert_allclose(frames @ frames.swapaxes(1, 2), np.tile(np.eye(3), (24, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(frames), 1)
    np.testing.assert_allclose(frames[..., 1] * np.linalg.norm(bone_ways(FREE), axis=1)[:, None], bone_ways(FREE))
    left, right = (FREE.joints.index(f"{side}_knee") for side in ("left", "right"))
    np.testing.assert_allclose(frames[left][:, 1:] * [[-1], [1], [1]], frames[right][:, 1:], atol=0.02)
    assert frames[left][:, 2] @ (0, 0, 1) > 0.98  # so that a knee bends about x


@pytest.mark.parametrize("root_bone", [False, True])
def test_nodes_of_a_glb_have_their_y_axes_along_the_bones(tmp_path, root_bone):
    """What Blender draws after a plain import: the tail of a bone lies on its node's y axis."""
    glb.write(tmp_path / "a.glb", [dataclasses.replace(walking(3, body=FREE), root_bone=root_bone)])
    content = (tmp_path / "a.glb").read_bytes()
    (length,) = struct.unpack_from("<I", content, 12)
    nodes = json.loads(content[20 : 20 + length])["nodes"]
    above = {child: number for number, node in enumerate(nodes) for child in node.get("children", ())}

    def world(number: int) -> tuple[np.ndarray, np.ndarray]:
        turn, place = world(above[number]) if number in above else (np.eye(3), np.zeros(3))
        node = nodes[number]
        turned = quaternion(node["rotation"]) if "rotation" in node else np.eye(3)
        return turn @ turned, place + turn @ np.array(node.get("translation", (0, 0, 0)))

    for joint, child in (("left_hip", "left_knee"), ("right_elbow", "right_wrist"), ("pelvis", "spine1")):
        turn, place = world(FREE.joints.index(joint))
        way = world(FREE.joints.index(child))[1] - place
        assert turn[:, 1] @ way > 0.9999 * np.linalg.norm(way)


def quaternion(values: list[float]) -> np.ndarray:
    return quaternion_to_matrix(torch.tensor(values, dtype=torch.float64)[[3, 0, 1, 2]]).numpy()


def test_a_bone_of_no_length_has_axes():
    body = skinned.body()
    rest = body.rest.copy()
    rest[7] = rest[1]
    assert np.isfinite(bone_frames(dataclasses.replace(body, rest=rest))).all()
