"""Run by Blender's Python: import a GLB by Blender's own operator and save where the bones are in one of its actions.

    python blender_character.py <file.glb> <action> <fps> <output.npz> <frame> <frame> ...

The npz holds `bones`, `heads` [frames, K, 3] in Blender's world (z up), `actions` and `materials`.
"""

import sys

import bpy
import numpy as np

arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
path, name, fps, output, *frames = arguments
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps = int(fps)
bpy.ops.import_scene.gltf(filepath=path)
(armature,) = (item for item in bpy.data.objects if item.type == "ARMATURE")
(action,) = (item for item in bpy.data.actions if name in item.name)
data = armature.animation_data or armature.animation_data_create()
for track in list(data.nla_tracks):
    data.nla_tracks.remove(track)
data.action = action
data.action_slot = action.slots[0]
heads = []
for frame in map(int, frames):
    scene.frame_set(frame)
    posed = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    heads.append([posed.matrix_world @ bone.head for bone in posed.pose.bones])
np.savez(
    output,
    heads=np.array(heads, np.float64),
    bones=[bone.name for bone in armature.pose.bones],
    actions=[item.name for item in bpy.data.actions],
    materials=[item.name for item in bpy.data.materials],
)
