"""Turn motion capture and sentences into a dataset folder in the layout of HumanML3D, to train text models on.

`python -m prepare.humanml --sources FILE_OR_FOLDER ... --output_dir dataset/mocap`
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_loaders.registry import RIGHT
from data_loaders.texts import LAST_SECOND
from utils.formats.options import ReadingOptions
from utils.run.errors import DataError, MissingFileError, UsageError, run_command
from utils.run.folders import refuse_existing
from utils.run.options import option, parse

if TYPE_CHECKING:
    import numpy as np

    from data_loaders.texts import TextLine
    from prepare.text.folder import Clip
    from utils.geometry.motion import Motion

GAITS = {"walk": {"walk", "walking"}, "run": {"run", "running", "jog", "jogging"}}
SLOW, FAST = {"walk": 0.8, "run": 1.8}, {"walk": 1.5, "run": 3.2}  # metres a second
CONVENTIONS = {"right": RIGHT, "published": {"face_order": "published", "yaw": "published"}}
NOTHING_MADE = (
    "no motion was made from these clips; that takes clips whose names or files say what is done, such as walk"
)
TURN = (50, 140)  # degrees from the first to the last frame that make a left or right turn


@dataclass(frozen=True)
class HumanMLOptions(ReadingOptions):
    """What to read and where to put it."""

    sources: tuple[str, ...] = option(
        (),
        "files or folders of motion: .bvh, .glb, .amc (its .asf beside it), .npz of AMASS and others, .npy [T, 22, 3]",
        many=True,
    )
    texts: str = option("", "folder of NAME.txt, the sentences of each clip (default: beside the motion files)")
    captions: str = option(
        "labels",
        "motion: sentences about each window too, by what is seen in it; labels: about whole clips alone",
        ("labels", "motion"),
    )
    output_dir: str = option("dataset/mocap", "the dataset folder to make")
    overwrite: bool = option(False, "replace what an earlier run wrote there; everything else stays")
    fps: float = option(20.0, "frame rate of the folder, and of .npy files", min=1)
    convention: str = option(
        "right",
        "how features tell the heading; published: with its swapped hips and its wrong turn past 180 degrees, to mix "
        "with HumanML3D",
        tuple(CONVENTIONS),
    )
    spans: tuple[str, ...] = option(
        (),
        "NAME:FROM:TO, the seconds of a clip that are used, for recordings of which a part is kept for tests",
        many=True,
    )
    made_share: float = option(
        0.0,
        "add motion made from motion, named made_...: walks bent into arcs and circles, kinds of motion joined; "
        "1: about one and a half times as many clips as there are",
        min=0,
        max=10,
    )
    mirror: bool = option(True, "add the mirror image of each clip")
    test_share: float = option(
        0.1, "share of clips held out, by a hash of the name, where the source does not say", min=0, max=0.9
    )
    val_share: float = option(0.1, "share of the other clips that is for validation", min=0, max=0.9)


def convert(motion: "Motion", path: Path, options: HumanMLOptions) -> "Clip":
    """A clip on the 22 joints at the folder's rate, with its labels and the captions found for it."""
    from data_loaders.common.splits import part_by_name
    from data_loaders.text.captions import labels_in
    from prepare.text.folder import Clip
    from prepare.text.in_place import on_its_way
    from utils.geometry.human import to_smpl22
    from utils.geometry.resample import resample

    body, meta = to_smpl22(motion), motion.meta
    labels = list(meta.get("actions", [])) or labels_in(motion.name)
    body, labels = on_its_way(body, labels)
    positions = within(resample(body.positions, motion.fps, options.fps), motion.name, options)
    record = {field: meta.get(field) or "" for field in ("style", "licence", "content")}
    record |= {"name": motion.name, "source": path.stem if "text_source" in meta else path.suffix[1:].lower()}
    split = part_by_name(motion.name, meta.get("split"), options.test_share, options.val_share)
    record |= {"split": split, "texts": list(motion.texts)}
    record["told_test"] = meta.get("split") == "test"
    record["actions"] = labels
    if not record["content"] and len(positions) > 1:
        record |= gait(positions, options.fps, record["actions"])
    lines = told_within(captions_of(motion.name, path, options.texts), motion.name, options)
    return Clip(positions, record, tuple(lines))


def spans_of(options: HumanMLOptions) -> dict[str, tuple[float, float]]:
    """The seconds (from, to) that are used of clips by their names. Raises UsageError."""
    found = {}
    for span in options.spans:
        try:
            name, first, last = span.rsplit(":", 2)
            seconds = float(first), float(last)
        except ValueError:
            raise UsageError(f"--spans {span}: should be NAME:FROM:TO, such as JL_mm_run:0:75") from None
        if not 0 <= seconds[0] < seconds[1] < LAST_SECOND:
            raise UsageError(f"--spans {span}: should go from one second to a later one")
        if name in found:
            raise UsageError(f"--spans {span}: {name} has a span already; one part of a clip can be used")
        found[name] = seconds
    return found


def within(positions: "np.ndarray", name: str, options: HumanMLOptions) -> "np.ndarray":
    """The frames of a clip, positions [T, ...] at the folder's rate, that `--spans` leaves of it. Raises DataError."""
    if (span := spans_of(options).get(name)) is None:
        return positions
    first, last = (round(seconds * options.fps) for seconds in span)
    if len(positions) < first + 2:
        raise DataError(f"--spans {name}:{span[0]:g}:{span[1]:g}: the clip has {len(positions) / options.fps:.1f} s")
    return positions[first:last]


def told_within(lines: "list[TextLine]", name: str, options: HumanMLOptions) -> "list[TextLine]":
    """The lines of a clip in the seconds of what `--spans` leaves of it, without those about what lies outside."""
    from dataclasses import replace

    if (span := spans_of(options).get(name)) is None:
        return lines
    first, last = span
    return [
        line if line.whole else replace(line, start=line.start - first, end=line.end - first)
        for line in lines
        if line.whole or first <= line.start < line.end <= last
    ]


def gait(positions: "np.ndarray", fps: float, actions: list[str]) -> dict[str, str]:
    """What positions [T, 22, 3] of a walk or a run tell beyond the label: `turn` left or right, `pace` slow or fast."""
    import numpy as np
    import torch

    from data_loaders.representations import hml

    kind = next((kind for kind, labels in GAITS.items() if actions and set(actions) <= labels), "")
    if not kind:
        return {}
    found = {}
    faced = np.unwrap(hml.heading(torch.from_numpy(positions), hml.layout_of("smpl22")).numpy())
    if TURN[0] < abs(np.degrees(faced[-1] - faced[0])) < TURN[1]:
        found["turn"] = "left" if faced[-1] > faced[0] else "right"
    speed = np.linalg.norm(np.diff(positions[:, 0, ::2], axis=0), axis=-1).mean() * fps
    if speed < SLOW[kind] or speed > FAST[kind]:
        found["pace"] = "slow" if speed < SLOW[kind] else "fast"
    return found


def captions_of(name: str, path: Path, folder: str) -> "list[TextLine]":
    """The lines of the text file of a clip: in `folder`, or beside its motion file; none if there is no such file.

    Lines without a caption are named and passed over.
    """
    from data_loaders.texts import read_lines

    folders = [Path(folder)] if folder else [path.parent, path.parent / "texts", path.parent.parent / "texts"]
    for where in folders:
        for stem in dict.fromkeys((name.replace("/", "_"), path.stem)):
            if (found := where / f"{stem}.txt").is_file():
                faults: list[str] = []
                lines = read_lines(found, faults)
                print("".join(f"note: {fault}\n" for fault in faults), end="", file=sys.stderr)
                return lines
    return []


def read(files: list[Path], options: HumanMLOptions) -> "Iterator[Clip]":
    """All clips of the files, each file's number of clips printed. Raises DataError."""
    from data_loaders.common.recordings import read_each
    from utils.formats.reading import array_rate, read_motion

    def converted(path: Path) -> "Iterator[tuple[Clip, str]]":
        for motion in read_motion(path, array_rate(options, path, options.fps)):
            yield convert(motion, path, options), motion.note

    for path, found in read_each(files, options.sources, converted, lambda text: print(text, file=sys.stderr)):
        yield from (clip for clip, _ in found)
        told = sum(bool(clip.lines) for clip, _ in found)
        guess = "".join(f"; {note}" for note in dict.fromkeys(note for _, note in found) if note)
        texts = f", {told} with a text file" if told else ""
        print(f"{path}: {len(found)} clip{'s' * (len(found) != 1)}{texts}{guess}")


def with_mirror_images(clips: "list[Clip]") -> "list[Clip]":
    """The clips, those that are mirror images or copies of each other in one part.

    Where the hashes of the names leave none to train on, as happens with one or two clips, those that no source holds
    out are trained on, which is said.
    """
    from dataclasses import replace

    from data_loaders.common.splits import alike, together
    from utils.geometry.skeleton import SKELETONS

    groups = alike([clip.positions for clip in clips], SKELETONS["smpl22"].mirror)
    told = [clip.record["told_test"] for clip in clips]
    parts = together([clip.record["split"] for clip in clips], groups, told)
    if "train" not in parts and not all(told):
        print("note: too few clips to hold some out; those that the source does not hold out are trained on")
        parts = ["test" if said else "train" for said in told]
    return [replace(clip, record=clip.record | {"split": part}) for clip, part in zip(clips, parts, strict=True)]


def summary(made: Any, options: HumanMLOptions) -> list[str]:
    """What to say of the folder."""
    hours = made.frames / options.fps / 3600
    parts = ", ".join(f"{count} {part}" for part, count in made.parts.items())
    skipped = "; ".join(f"{count} skipped ({reason})" for reason, count in made.skipped.items())
    copies = " with their mirror images" if options.mirror else ""
    return [
        f"{sum(made.parts.values())} clips{copies} in {options.output_dir}: {parts}; {hours:.2f} hours at "
        f"{options.fps:g} fps; {made.captions} different captions",
        *([skipped] if skipped else []),
        f"next: python -m train.train_mdm --dataset mocap --datapath {options.output_dir} --save_dir save/my_model",
    ]


def main(argv: list[str]) -> None:
    """Run the command."""
    (options,) = parse("prepare.humanml", __doc__ or "", [HumanMLOptions], argv)
    refuse_existing(options.output_dir, options.overwrite, sure=("index.json",))
    if options.texts and not Path(options.texts).is_dir():
        raise MissingFileError(f"--texts {options.texts}: there is no such folder")
    if not options.sources:
        raise UsageError("name at least one file or folder: python -m prepare.humanml --sources FILE_OR_FOLDER ...")

    from data_loaders.common.recordings import find_files
    from prepare.text import folder as text_folder

    spans = spans_of(options)
    clips = list(read(find_files(options.sources), options))
    if not clips:
        raise DataError(f"{', '.join(options.sources)}: the files hold no clips")
    if missing := set(spans) - {clip.record["name"] for clip in clips}:
        raise UsageError(f"--spans {min(missing)}: there is no such clip in what was read")
    clips = with_mirror_images(clips)
    if options.made_share:
        from prepare.text.made import AMOUNTS, made_from

        made_clips = made_from(clips, options.fps, 0, AMOUNTS.times(options.made_share))
        if not made_clips:
            print(f"note: --made_share: {NOTHING_MADE}", file=sys.stderr)
        clips += made_clips
    made = text_folder.write(
        options.output_dir, clips, options.fps, options.mirror, options.overwrite, CONVENTIONS[options.convention],
        options.captions == "motion",
    )  # fmt: skip
    print("\n".join(summary(made, options)))


if __name__ == "__main__":
    run_command(main)
