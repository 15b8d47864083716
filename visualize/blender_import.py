"""A motion into Blender: right frame rate, frame range, axes, a camera that sees all of it, a light.

    blender --background --python visualize/blender_import.py -- motion.glb --output motion.blend
    python visualize/blender_import.py motion.glb --output motion.fbx      (where the package bpy is installed)

Reads .glb, .bvh and .usd/.usda/.usdc; writes .blend, .fbx, .abc (Alembic) or one frame as .png. Frame t of the motion
is frame t of the scene. Without --output, in a Blender with a window, the motion is there to be looked at.
This file runs in Blender's own Python: it imports nothing of the project.
"""

import argparse
import importlib
import json
import math
import os
import re
import statistics
import struct
import sys
from pathlib import Path
from typing import Any

USD = (".usd", ".usda", ".usdc", ".usdz")
INPUTS = (".glb", ".bvh", *USD)
OUTPUTS = (".blend", ".fbx", ".abc", ".png")
_VIEW = (0.55, -1.0, 0.32)  # from the motion to the camera: in front of it, to its left, from above
_FIELD = math.radians(35)  # of view
_LOOKS = 40  # frames at which the motion is measured


def load(path: Path, scale: float = 1.0, fps: float | None = None) -> list[Any]:
    """Import a file into an empty scene and return its objects. Blender's units are metres, z up.

    The rate is `fps` or what the file says. `scale` is for BVH in other units.
    """
    bpy = importlib.import_module("bpy")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    rate = fps
    if path.suffix == ".glb":
        stated, seconds = _glb_clock(path.read_bytes())
        rate = rate or stated
        _import_glb(path, rate, seconds)
    elif path.suffix == ".bvh":
        rate = rate or _bvh_rate(path)
        axes = {"axis_forward": "-Z", "axis_up": "Y", "global_scale": scale}
        bpy.ops.import_anim.bvh(filepath=str(path), frame_start=1, use_fps_scale=False, **axes)
        for curve in (curve for item in bpy.data.objects for curve in _curves(item)):
            for key in curve.keyframe_points:  # Blender counts from 1 here
                key.co_ui.x -= 1
            curve.update()
    else:
        bpy.ops.wm.usd_import(filepath=str(path), property_import_mode="ALL")
        rate = rate or next((stated for item in bpy.data.objects for stated in _stated(item)), 24.0)
    objects, scene = list(bpy.data.objects), bpy.context.scene
    set_rate(scene, rate)
    play_all(objects)
    end = max((item.animation_data.action.frame_range[1] for item in objects if _moves(item)), default=0.0)
    scene.frame_start, scene.frame_end = 0, max(0, round(end))
    return objects


def _import_glb(path: Path, rate: float, seconds: float) -> None:
    """Import a GLB whose last key is at `seconds`, so that it stands at the frame `rate` times as many.

    Blender's importer turns seconds into frames by fps * fps_base, where it should divide (seen in 5.0): for rates that
    are not whole both are tried.
    """
    bpy = importlib.import_module("bpy")
    for wrong in (True, False):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        render = bpy.context.scene.render
        set_rate(bpy.context.scene, rate)
        render.fps_base = 1 / render.fps_base if wrong else render.fps_base
        render.fps = round(rate / render.fps_base) if wrong else render.fps
        bpy.ops.import_scene.gltf(filepath=str(path), disable_bone_shape=True)
        ends = [action.frame_range[1] for action in bpy.data.actions]
        if not ends or abs(max(ends) - seconds * rate) < 0.5:
            return
    raise RuntimeError(f"Blender put the last frame at {max(ends):g} and not at {seconds * rate:g}")


def _bvh_rate(path: Path) -> float:
    """Frames a second of a BVH file."""
    found = re.search(r"Frame\s+Time:\s*(\S+)", path.read_text(errors="replace"), re.IGNORECASE)
    rate = 1 / float(found[1]) if found else 0.0
    if not 0 < rate < 32767:
        raise ValueError("it has no 'Frame Time:' of use")
    return round(rate, 4)


def _glb_clock(content: bytes) -> tuple[float, float]:
    """Frames a second, as the extras say or by the usual step of key times, and the last time, of all animations."""
    (length,) = struct.unpack_from("<I", content, 12)
    document = json.loads(content[20 : 20 + length])
    animations = document.get("animations", [])
    clocks = [document["accessors"][sampler["input"]] for clip in animations for sampler in clip["samplers"]]
    seconds = max((accessor["max"][0] for accessor in clocks), default=0.0)
    stated = animations[0].get("extras", {}).get("fps") if animations else None
    if stated or not clocks:
        return float(stated or 24.0), seconds
    view = document["bufferViews"][clocks[0]["bufferView"]]
    start = 28 + length + view.get("byteOffset", 0) + clocks[0].get("byteOffset", 0)
    keys = struct.unpack_from(f"<{clocks[0]['count']}f", content, start)
    steps = [late - early for early, late in zip(keys, keys[1:], strict=False) if late > early]
    return round(1 / statistics.median(steps), 3) if steps else 24.0, seconds


def _stated(item: Any) -> list[float]:
    """The frame rate among the properties of an imported object or of its data: frames of USD are not seconds."""
    return [float(holder["fps"]) for holder in (item, item.data) if holder is not None and "fps" in holder]


def _curves(item: Any) -> list[Any]:
    """The curves of an object's clip; since Blender 4.4 they lie in the bags of its layers."""
    if not _moves(item):
        return []
    action = item.animation_data.action
    if not hasattr(action, "layers"):
        return list(action.fcurves)
    strips = (strip for layer in action.layers for strip in layer.strips)
    return [curve for strip in strips for bag in strip.channelbags for curve in bag.fcurves]


def _moves(item: Any) -> bool:
    """Whether an object has a clip."""
    return bool(item.animation_data and item.animation_data.action)


def set_rate(scene: Any, rate: float) -> None:
    """Set frames a second: a whole number by a divisor, exactly where a divisor up to 8 does it."""
    divisor = next((k for k in range(1, 9) if float(rate * k).is_integer()), None)
    whole = round(rate * divisor) if divisor else math.ceil(rate)
    scene.render.fps, scene.render.fps_base = whole, whole / rate


def play_all(objects: list[Any]) -> None:
    """Let every object play its own clip: importers leave all but one of a file's clips in muted tracks."""
    for item in objects:
        data = item.animation_data
        if not data or not data.nla_tracks:
            continue
        strip = data.nla_tracks[0].strips[0]
        data.action = strip.action
        if hasattr(strip, "action_slot"):
            data.action_slot = strip.action_slot
        for track in list(data.nla_tracks):
            data.nla_tracks.remove(track)


def bounds(objects: list[Any]) -> tuple[list[float], list[float]]:
    """The box (low, high) that holds all vertices and joints at all times."""
    bpy = importlib.import_module("bpy")
    scene = bpy.context.scene
    low, high = [math.inf] * 3, [-math.inf] * 3
    step = max(1, (scene.frame_end - scene.frame_start) // _LOOKS)
    for frame in [*range(scene.frame_start, scene.frame_end, step), scene.frame_end]:
        scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        for item in objects:
            for corner in _corners(item.evaluated_get(graph)):
                low = [min(pair) for pair in zip(low, corner, strict=True)]
                high = [max(pair) for pair in zip(high, corner, strict=True)]
    scene.frame_set(scene.frame_start)
    return (low, high) if low[0] <= high[0] else ([-1.0] * 3, [1.0] * 3)


def _corners(item: Any) -> list[Any]:
    """Points in the world that enclose an object as it is now."""
    if item.type == "MESH":
        return [item.matrix_world @ vertex.co for vertex in item.data.vertices]
    if item.type == "ARMATURE":
        return [item.matrix_world @ end for bone in item.pose.bones for end in (bone.head, bone.tail)]
    return []


def furnish(objects: list[Any], floor: bool) -> None:
    """Add a camera that sees the whole motion, a sun, a grey sky, and a floor if asked for."""
    bpy, mathutils = importlib.import_module("bpy"), importlib.import_module("mathutils")
    low, high = bounds(objects)
    scene, middle = bpy.context.scene, mathutils.Vector([(a + b) / 2 for a, b in zip(low, high, strict=True)])
    away = mathutils.Vector(_VIEW).normalized()
    right = mathutils.Vector((0, 0, 1)).cross(away).normalized()
    up = away.cross(right)
    corners = [mathutils.Vector([(low, high)[k >> axis & 1][axis] for axis in range(3)]) - middle for k in range(8)]
    slope = math.tan(_FIELD / 2)
    far = max(max(abs(corner @ right), abs(corner @ up)) / slope + corner @ away for corner in corners)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.angle = _FIELD
    camera.data.clip_end = max(100.0, 10 * far)
    frame = mathutils.Matrix((right, up, away)).transposed().to_4x4()  # a camera looks along its -z
    camera.matrix_world = mathutils.Matrix.Translation(middle + away * far * 1.08) @ frame
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy, sun.data.angle = 4.0, math.radians(4)
    sun.rotation_euler = (math.radians(40), math.radians(15), math.radians(20))
    world = bpy.data.worlds.new("World")
    sky = _nodes(world)["Background"].inputs
    sky["Color"].default_value, sky["Strength"].default_value = (0.75, 0.80, 0.88, 1), 0.4
    scene.world, scene.camera = world, camera
    for item in (camera, sun):
        scene.collection.objects.link(item)
    if floor:
        bpy.ops.mesh.primitive_plane_add(size=400 * max(b - a for a, b in zip(low, high, strict=True)))
        plane, grey = bpy.context.object, bpy.data.materials.new("Floor")
        _nodes(grey)["Principled BSDF"].inputs["Base Color"].default_value = (0.35, 0.35, 0.36, 1)
        plane.name, plane.location = "Floor", (middle.x, middle.y, min(0.0, low[2]))
        plane.data.materials.append(grey)


def _nodes(item: Any) -> Any:
    """The shader nodes of a material or world; before Blender 5 they had to be asked for."""
    tree = item.node_tree
    if tree is None:
        item.use_nodes = True
    return item.node_tree.nodes


def save(path: Path, objects: list[Any], frame: int | None = None, size: int = 720) -> None:
    """Write the scene, its moving objects, or one frame of it by the suffix of `path`; whole or not at all."""
    bpy = importlib.import_module("bpy")
    scene = bpy.context.scene
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    for item in scene.objects:
        item.select_set(item in objects)
    try:
        if path.suffix == ".blend":
            bpy.ops.wm.save_as_mainfile(filepath=str(temporary), copy=True, compress=True)
        elif path.suffix == ".fbx":
            scene.name = next((item.animation_data.action.name for item in objects if _moves(item)), scene.name)
            clips = {"bake_anim_use_all_actions": False, "bake_anim_use_nla_strips": False}
            bpy.ops.export_scene.fbx(
                filepath=str(temporary),
                use_selection=True,
                add_leaf_bones=False,
                bake_anim_simplify_factor=0.0,
                **clips,
            )
        elif path.suffix == ".abc":
            span = {"start": scene.frame_start, "end": scene.frame_end}
            bpy.ops.wm.alembic_export(
                filepath=str(temporary), selected=True, normals=False, uvs=False, as_background_job=False, **span
            )
        else:
            render(temporary, (scene.frame_start + scene.frame_end) // 2 if frame is None else frame, size)
        if not temporary.is_file() or not temporary.stat().st_size:
            raise RuntimeError(f"Blender wrote nothing for {path}")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def render(path: Path, frame: int, size: int) -> None:
    """One frame as a square PNG, by Cycles on the CPU, which needs no graphics."""
    bpy = importlib.import_module("bpy")
    scene = bpy.context.scene
    scene.frame_set(frame)
    scene.render.engine, scene.cycles.device = "CYCLES", "CPU"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.max_bounces = 24, True, 2
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def run(argv: list[str]) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="blender_import", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("motion", type=Path, help=f"a file that ends in one of {' '.join(INPUTS)}")
    parser.add_argument("--output", type=Path, help=f"a file that ends in one of {' '.join(OUTPUTS)}")
    parser.add_argument("--frame", type=int, help="the frame of a .png (default: the middle one)")
    parser.add_argument("--size", type=int, default=720, help="width and height of a .png in pixels")
    parser.add_argument("--scale", type=float, default=1.0, help="metres in a unit of a .bvh (0.01: centimetres)")
    parser.add_argument("--fps", type=float, help="frames a second, where the file does not say it")
    options = parser.parse_args(argv)
    if options.motion.suffix not in INPUTS or not options.motion.is_file():
        parser.error(f"{options.motion} is not an existing file of {' '.join(INPUTS)}")
    if options.output and options.output.suffix not in OUTPUTS:
        parser.error(f"{options.output} does not end in one of {' '.join(OUTPUTS)}")
    try:
        objects = load(options.motion.resolve(), options.scale, options.fps)
        furnish(objects, floor=options.output is None or options.output.suffix in (".blend", ".png"))
        if options.output:
            save(options.output.resolve(), objects, options.frame, options.size)
    except (RuntimeError, ValueError, KeyError, OSError, struct.error) as error:
        print(f"error: {options.motion}: {' '.join(str(error).split())}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    arguments = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    code = run(arguments)
    if code or "--background" in sys.argv or "-b" in sys.argv:
        sys.exit(code)
