"""Run by Blender's Python: import a file by the operator of its format, untouched, and save bones and actions.

    python blender_bones.py <motion> <output.npz>

The npz holds `actions`, `bones`, and their `heads` and `tails` [K, 3] in rest, in Blender's world.
"""

import sys

import bpy
import numpy as np

arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
motion, output = arguments
bpy.ops.wm.read_factory_settings(use_empty=True)
if motion.endswith(".glb"):
    bpy.ops.import_scene.gltf(filepath=motion)
elif motion.endswith(".bvh"):
    bpy.ops.import_anim.bvh(filepath=motion)
else:
    bpy.ops.import_scene.fbx(filepath=motion)
(armature,) = (item for item in bpy.data.objects if item.type == "ARMATURE")
bones, world = armature.data.bones, armature.matrix_world
np.savez(
    output,
    actions=[action.name for action in bpy.data.actions],
    bones=[bone.name for bone in bones],
    heads=[world @ bone.head_local for bone in bones],
    tails=[world @ bone.tail_local for bone in bones],
)
