"""Bodies in motion to the files that people's tools open; each is read back before it counts as written."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from body.motion.cycles import in_place, looped
from utils.formats import bvh, csv, glb, hik, obj, smpl_motion, smpl_params, usd
from utils.formats.export_format import Format
from utils.geometry.body import BodyMotion, on_floor
from utils.geometry.body_rate import at_rate
from utils.geometry.joint_names import renamed
from utils.geometry.motion import Motion
from utils.run.errors import DataError, UsageError
from utils.run.names import file_name, file_names, inside
from utils.run.staging import staged
from visualize.files import blender
from visualize.files.character import character_format
from visualize.meshes import video as mesh_video
from visualize.options import ExportOptions
from visualize.page import html as page

Clip = TypeVar("Clip", Motion, BodyMotion)
CLOSE = 1e-3  # metres: how far joints that are read back may be from those that were written
TABLE: dict[str, Format] = {
    "glb": glb.FORMAT,
    "bvh": bvh.FORMAT,
    "html": page.FORMAT,
    "mp4": mesh_video.FORMAT,
    "npz": smpl_motion.SMPLH,
    "smplx": smpl_motion.SMPLX,
    "params": smpl_params.FORMAT,
    "obj": obj.FORMAT,
    "usd": usd.FORMAT,
    "hik": hik.FORMAT,
    "csv": csv.FORMAT,
    "fbx": blender.FBX,
    "abc": blender.ABC,
}


def export(
    motions: Sequence[BodyMotion],
    formats: Sequence[str | Format],
    folder: Path,
    stem: str,
    overwrite: bool = False,
    names: str = "",
    still: bool = False,
    sources: Collection[Path] = (),
) -> list[Path]:
    """Write motions in formats, those of `TABLE` by name, into a folder: `<name><ending>`, `<stem><ending>` for all.

    `names` are those of `SCHEMES`, for formats that other programs know by them; `still` takes paths away.
    `sources` are files that the motions come from, which are never replaced.
    Nothing is written, and nothing replaced, if one of the files exists and may not be replaced, cannot be made, or
    does not read back as what was written. Returns the paths. Raises UsageError, DataError and what writers raise.
    """
    refuse(motions, formats, folder, stem, overwrite, sources)
    todo = list(files(motions, formats, folder, stem))
    for _, form, some in todo:
        for motion in some:
            form.need(motion)
    with staged(folder) as staging:
        for path, form, some in todo:
            shown = [_shown(motion, form, names, still) for motion in some]
            form.write(staging / path.name, shown)
            check(staging / path.name, form, shown)
    return [path for path, _, _ in todo]


def refuse(
    clips: Sequence[Clip],
    formats: Sequence[str | Format],
    folder: Path,
    stem: str,
    overwrite: bool = False,
    sources: Collection[Path] = (),
) -> None:
    """Raise UsageError where `export` could not give its files their names: asked before clips are fitted, too."""
    for path, form, _ in files(clips, formats, folder, stem):
        if path.exists() and any(source.exists() and path.samefile(source) for source in sources):
            raise UsageError(f"{path} would replace what it is made from; choose another folder with --output_dir")
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists already; choose another folder or add --overwrite to replace it")
        for entry in form.in_the_way(path):
            raise UsageError(f"{entry} is no earlier export and would be lost; move it, or choose another folder")


def _shown(motion: BodyMotion, form: Format, names: str, still: bool) -> BodyMotion:
    """A motion as files of a format are to have it."""
    if form.standing:
        motion = replace(motion, body=on_floor(motion.body))
    if names and form.by_name:
        motion = replace(motion, body=replace(motion.body, joints=renamed(motion.body.joints, names)))
    return in_place(motion) if still and not form.keeps_path else motion


def asked(options: ExportOptions, folder: Path, say: Callable[[str], None]) -> list[str | Format]:
    """The formats that are asked for; a character of the user's comes in place of the body's own GLB.

    `say` is told what is to be said of the character. Raises what reading it raises.
    """
    if options.map and not options.character:
        raise UsageError("--map says which joint of a character is which: name the character with --character")
    if not options.character:
        return list(options.format)
    return [*(name for name in options.format if name != "glb"), character_format(options, folder, say)]


def prepared(
    motions: Sequence[BodyMotion], options: ExportOptions, say: Callable[[str], None] = lambda note: None
) -> list[BodyMotion]:
    """Motions at the rate, and with the root bone, that files should have, or a cycle of each; `say` is told of it."""
    made = []
    for motion in motions:
        motion = replace(at_rate(motion, options.fps or motion.fps), root_bone=options.root_bone)
        if options.loop:
            motion, note = looped(motion)
            say(f"{motion.name}: {note}")
        made.append(motion)
    return made


def files(
    motions: Sequence[Clip], formats: Sequence[str | Format], folder: Path, stem: str
) -> Iterator[tuple[Path, Format, Sequence[Clip]]]:
    """Each file to write, with its format and what goes into it. Raises UsageError for motions of one name."""
    names = [motion.name for motion in motions]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two motions are called {twice}, so their files would be one: choose with --samples")
    for form in (TABLE[form] if isinstance(form, str) else form for form in dict.fromkeys(formats)):
        if form.together:
            yield inside(folder, f"{file_name(stem)}{form.ending}"), form, motions
        else:
            plain = zip(file_names(names), motions, strict=True)
            yield from ((inside(folder, f"{name}{form.ending}"), form, [motion]) for name, motion in plain)


def check(path: Path, form: Format, motions: Sequence[BodyMotion]) -> None:
    """Raise DataError unless a file holds the frames that were written, and joints where they were."""
    content = form.read(path)
    for number, motion in enumerate(motions):
        frames, found, wanted = form.look(content, motion, number)
        asked = len(at_rate(motion, form.fps).root) if form.fps else len(motion.root)
        if frames != asked:
            raise DataError(f"{path} reads back as {frames} frames of {motion.name}, not {asked}")
        off = np.abs(found - wanted).max(initial=0.0) if found.shape == wanted.shape else np.inf
        if not off <= CLOSE:
            raise DataError(f"{path} reads back with joints of {motion.name} {off:.3g} m from where they were")
