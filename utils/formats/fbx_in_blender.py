"""An FBX file into a GLB that holds its skeletons, skins and every take; a script that runs in Blender's own Python.

    blender --background --python utils/formats/fbx_in_blender.py -- walk.fbx walk.glb
    python utils/formats/fbx_in_blender.py walk.fbx walk.glb      (where the package bpy is installed)

Blender's importer takes the frame rate of the file, makes an armature of each skeleton, and an action "armature|take"
or "armature|take|layer" of each take, of which it leaves one in place; its exporter writes those that are in tracks.
This file runs in Blender: it imports nothing of the project.
"""

import importlib
import re
import sys
from pathlib import Path
from typing import Any

_TAKE = re.compile(rb"S.{4}([^\x00]{1,250})\x00\x01AnimStack", re.DOTALL)  # length and name, as binary FBX has them


def convert(source: Path, target: Path) -> None:
    """Write all takes of an FBX file as animations of a GLB file, called as the takes are."""
    bpy = importlib.import_module("bpy")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.fbx(filepath=str(source), anim_offset=0.0, use_image_search=False)
    takes = [name.decode("utf-8", "replace") for name in _TAKE.findall(source.read_bytes())]
    for item in list(bpy.data.objects):
        made = [action for action in bpy.data.actions if action.name.startswith(f"{item.name}|")]
        put_in_tracks(item, made)
        for action in made:
            action.name = take(action.name.removeprefix(f"{item.name}|"), takes)
    bpy.ops.export_scene.gltf(
        filepath=str(target),
        export_format="GLB",
        export_animation_mode="ACTIONS",
        export_materials="NONE",
        export_morph=False,
        export_optimize_animation_size=False,
        export_rest_position_armature=True,
        export_extras=False,
    )


def put_in_tracks(item: Any, actions: list[Any]) -> None:
    """Let an object have each of these actions in a track of its own."""
    if not actions:
        return
    data = item.animation_data or item.animation_data_create()
    data.action = None
    for action in actions:
        track = data.nla_tracks.new()
        strip = track.strips.new(action.name, int(action.frame_range[0]), action)
        if hasattr(strip, "action_slot"):  # since Blender 4.4
            strip.action_slot = action.slots[0]
        track.mute = True


def take(name: str, takes: list[str]) -> str:
    """Which of the takes "take" or "take|layer" is of; names may hold the same sign."""
    return max((known for known in takes if name == known or name.startswith(f"{known}|")), key=len, default=name)


def run(argv: list[str]) -> int:
    """The script; returns its exit code."""
    try:
        convert(Path(argv[0]), Path(argv[1]))
    except (RuntimeError, ValueError, KeyError, IndexError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]))
