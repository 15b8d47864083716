"""Run by Blender's Python: import a motion as visualize/blender_import.py does and save what Blender then has.

FBX and Alembic, which that script writes, are imported by Blender's own operators at 30 frames a second.

    python blender_dump.py <visualize/blender_import.py> <motion> <output.npz> <frame> <frame> ...

The npz holds `fps`, `start`, `end`, and in Blender's world (z up): for each mesh `mesh<i>` [frames, V, 3], for each
armature `heads<i>` [frames, K, 3] with `bones<i>`.
"""

import importlib.util
import sys
from pathlib import Path

import bpy
import numpy as np

arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
script, motion, output, *frames = arguments
spec = importlib.util.spec_from_file_location("blender_import", script)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
if motion.endswith((".fbx", ".abc")):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.fps = 30
    if motion.endswith(".fbx"):
        bpy.ops.import_scene.fbx(filepath=motion, anim_offset=0)
    else:
        bpy.ops.wm.alembic_import(filepath=motion, as_background_job=False)
    objects = list(bpy.data.objects)
else:
    objects = module.load(Path(motion))
scene = bpy.context.scene
found = {"fps": scene.render.fps / scene.render.fps_base, "start": scene.frame_start, "end": scene.frame_end}
tracks = {}
for frame in map(int, frames):
    scene.frame_set(frame)
    graph = bpy.context.evaluated_depsgraph_get()
    meshes = sorted((item for item in objects if item.type == "MESH"), key=lambda item: item.name)
    armatures = sorted((item for item in objects if item.type == "ARMATURE"), key=lambda item: item.name)
    for number, item in enumerate(meshes):
        vertices = [item.evaluated_get(graph).matrix_world @ v.co for v in item.evaluated_get(graph).data.vertices]
        tracks.setdefault(f"mesh{number}", []).append(vertices)
    for number, item in enumerate(armatures):
        posed = item.evaluated_get(graph)
        heads = [posed.matrix_world @ bone.head for bone in posed.pose.bones]
        tracks.setdefault(f"heads{number}", []).append(heads)
        found[f"bones{number}"] = [bone.name for bone in posed.pose.bones]
np.savez(output, **found, **{name: np.array(values, np.float64) for name, values in tracks.items()})
