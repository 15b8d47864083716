"""Say what a downloaded folder is, what is missing in it and where it belongs.

`python -m prepare.check PATH` with a dataset folder (2D keypoints, HumanML3D, KIT-ML, HumanAct12, UESTC, our own), a
folder of pose predictions, a checkpoint or its folder. Ends with 0 if it can be used as it lies, with 3 if something is
missing, with 4 if something in it is wrong.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_loaders.registry import DATASETS, DatasetSpec
from utils.run.errors import DataError, MissingFileError, UsageError, run_command
from utils.run.files import read_json
from utils.run.options import option, parse
from utils.run.project import ROOT

if TYPE_CHECKING:
    from torch import Tensor

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".rar", ".7z")
WEIGHTS = (".pth", ".pt")
POINTS_2D = "data_loaders.points.keypoints:load"
PREDICTION_JOINTS = 17
LAYER_NAMES = {
    "seqTransEncoder.layers.": "trans_enc",
    "seqTransDecoder.layers.": "trans_dec",
    "gru.weight_ih_l": "gru",
    "encoder.seqTransEncoder.layers.": "vae",
    "layers.": "dit",
}
ENTRANCES = {"vae": "encoder.input_process.poseEmbedding.weight", "dit": "embed.weight"}
SHOWN = 5  # bad files that are named one by one
TEXT_PARTS = ("new_joint_vecs", "new_joints", "texts")  # folders inside one with motion and sentences
TEXT_FILES = {  # what such a folder needs, and where it is found for HumanML3D
    "texts": "the sentences, texts.zip in github.com/EricGuo5513/HumanML3D",
    "new_joint_vecs": "the motion, made from AMASS by the notebooks of github.com/EricGuo5513/HumanML3D",
    "Mean.npy": "lies in the HumanML3D folder of that repository",
    "Std.npy": "lies in the HumanML3D folder of that repository",
    "train.txt": "lies in the HumanML3D folder of that repository",
    "val.txt": "lies in the HumanML3D folder of that repository",
    "test.txt": "lies in the HumanML3D folder of that repository",
}
HUMANACT12_FILE = "humanact12poses.pkl"
UESTC_FILES = ("vibe_cache_refined.pkl", "info/names.txt", "info/num_frames_min.txt", "info/action_classes.txt")


@dataclass(frozen=True)
class CheckOptions:
    """What to look at."""

    path: str = option("", "the folder or checkpoint (also without the flag: python -m prepare.check PATH)")


def main(argv: list[str]) -> None:
    """Run the command."""
    (options,) = parse("prepare.check", __doc__ or "", [CheckOptions], argv, first_word="path")
    if not options.path:
        raise UsageError("name what to check: python -m prepare.check PATH")
    for line in check(Path(options.path)):
        print(line)


def check(path: Path) -> list[str]:
    """What to tell of a usable folder or checkpoint. Raises MissingFileError or DataError for anything else."""
    if not path.exists():
        raise MissingFileError(f"{path} does not exist; dataset/README.md says where datasets and models are found")
    if path.is_file() and path.suffix.lower() in ARCHIVES:
        raise DataError(f"{path} is an archive: unpack it, then check the folder")
    if path.is_file() and path.suffix not in WEIGHTS:
        raise DataError(f"{path} is neither a folder nor a checkpoint (.pth)")
    kind = kind_of(path)
    if kind == "motions":
        return check(path.parent)
    if kind:
        return {
            "texts": check_texts,
            "humanact12": check_humanact12,
            "uestc": check_uestc,
            "dataset": check_dataset,
            "loose": check_loose,
            "packed": check_packed,
            "model": check_model,
        }[kind](path)
    inside = [child for child in sorted(path.iterdir()) if child.is_dir() and kind_of(child)]
    if inside:
        found = ", ".join(f"{child} ({'a model' if kind_of(child) == 'model' else 'motions'})" for child in inside)
        raise MissingFileError(f"{path} itself is neither a dataset nor a model, but look one folder deeper: {found}")
    loose = [child.name for child in sorted(path.iterdir())][:SHOWN]
    raise MissingFileError(
        f"{path} is neither a dataset (no motions/*.npy) nor a model (no checkpoint_<step>.pth); it holds "
        f"{', '.join(loose) or 'nothing'}"
    )


def kind_of(path: Path) -> str:
    """What a folder or file is (a key of the table in `check`), `motions` for the inside of a dataset, or nothing."""
    if path.is_file():
        return "model" if path.suffix in WEIGHTS else ""
    if path.name in TEXT_PARTS and any((path.parent / name).exists() for name in TEXT_FILES if name != path.name):
        return "motions"
    if any((path / name).is_dir() for name in TEXT_PARTS):
        return "texts"
    if (path / HUMANACT12_FILE).is_file():
        return "humanact12"
    if any((path / name).is_file() for name in UESTC_FILES):
        return "uestc"
    if any((path / "motions").glob("*.npy")):
        return "dataset"
    if (path / "index.json").is_file() or (path / "positions.npy").is_file():
        return "packed"
    if weight_files(path):
        return "model"
    if any(child.name not in ("Mean.npy", "Std.npy", "results.npy") for child in path.glob("*.npy")):
        return "motions" if path.name == "motions" else "loose"
    return "model" if (path / "args.json").is_file() else ""


def weight_files(folder: Path) -> list[Path]:
    """The checkpoints of a folder, the one with the highest step last (optimiser states of the MDM family left out)."""
    found = [child for child in folder.iterdir() if child.suffix in WEIGHTS and not child.name.startswith("opt")]
    return sorted(found, key=lambda child: (len(child.name), child.name))


def placed(path: Path, belongs: str, otherwise: str) -> str:
    """Where it lies, and where it would be found without a flag."""
    if path.resolve() == (ROOT / belongs).resolve():
        return f"it lies where it belongs: {ROOT / belongs}"
    return f"it belongs in {ROOT / belongs}; where it lies now, it is used with {otherwise} {path}"


def listed(problems: list[str], folder: Path) -> str:
    """The first few problems of files of a folder in one line."""
    problems = [problem.replace(f"{folder}{os.sep}", "") for problem in problems]
    more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
    return "; ".join(problems[:SHOWN]) + more


def joint_count(path: Path) -> int:
    """Joints of a stored motion. Raises DataError unless it is [frames, joints, 3]."""
    from utils.run.arrays import load_array

    points = load_array(path)
    if points.ndim != 3 or points.shape[2] != 3:
        raise DataError(f"{path} has shape {points.shape}; a motion is [frames, joints, 3] (x, y, confidence)")
    return points.shape[1]


def check_dataset(path: Path) -> list[str]:
    """A folder with motions/*.npy: which dataset by its joints, every file read, the parts, the figures."""
    first = min((path / "motions").glob("[!.]*.npy"))
    joints = joint_count(first)
    rows = [row for row in DATASETS.values() if row.loader == POINTS_2D]
    spec = next((row for row in rows if len(row.skeleton.joints) == joints), None)
    if spec is None:
        known = ", ".join(f"{row.name} {len(row.skeleton.joints)}" for row in rows)
        raise DataError(f"{first} has {joints} joints, which fits no dataset ({known})")

    from data_loaders.common.splits import names_of_part
    from data_loaders.points.keypoints import load_stats, motion_files, read_points

    files, frames, problems = motion_files(spec, path), 0, []
    for file in files.values():
        try:
            points = read_points(file, spec)
        except DataError as error:
            problems.append(str(error))
            continue
        frames += len(points)
        if points[..., 2].min() < 0:
            problems.append(f"{file} has negative confidences: is it 3D?")
    if problems:
        raise DataError(
            f"{path} ({spec.name}): {len(problems)} of {len(files)} motions are wrong: {listed(problems, path)}"
        )
    load_stats(spec, path)
    parts = {part: len(names_of_part(list(files), path, part)) for part in ("train", "test")}
    own = (path / "Mean.npy").is_file()
    fps = spec.source_fps or spec.fps
    return [
        f"{path} is the dataset {spec.name}: {len(files)} motions, {frames / fps / 3600:.2f} hours at {fps:g} fps",
        f"parts: {parts['train']} train, {parts['test']} test"
        + (" (split.json)" if (path / "split.json").is_file() else " (by a hash of the name)"),
        "figures: " + ("its own Mean.npy and Std.npy" if own else f"the published ones (data_loaders/{spec.name})"),
        placed(path, spec.defaults["datapath"], "--datapath"),
        f"next: python -m train.train_mdm --dataset {spec.name} --datapath {path} --save_dir save/my_{spec.name}",
    ]


def check_texts(path: Path) -> list[str]:
    """A folder with motion and sentences in the layout of HumanML3D: what is there, and every file's shape."""
    import numpy as np

    from data_loaders.points.keypoints import load_stats
    from data_loaders.text.folders import listed as names_of
    from data_loaders.text.folders import read_captions
    from data_loaders.texts import read_lines
    from utils.run.arrays import load_array

    spec = text_spec(path)
    missing = [name for name in TEXT_FILES if not (path / name).exists()]
    if missing:
        if spec.name == "humanml":
            advice = "; ".join(f"{name} ({TEXT_FILES[name]})" for name in missing)
        else:
            again = "make it anew: python -m prepare.humanml" if spec.name == "mocap" else "all lie in its archive"
            advice = f"{', '.join(missing)} ({again})"
        only = "; as it lies it gives sentences to sample with" if set(missing) <= {"new_joint_vecs", "val.txt"} else ""
        raise MissingFileError(f"{path} ({spec.name}) lacks {advice}{only}")
    load_stats(spec, path)
    frames, absent, problems, parts = 0, 0, [], {}
    faults: list[str] = []
    for part in ("train", "val", "test"):
        parts[part] = names_of(spec, path, part)
        for name in parts[part]:
            file = path / "new_joint_vecs" / f"{name}.npy"
            if not (file.is_file() and (path / "texts" / f"{name}.txt").is_file()):
                absent += 1
                continue
            try:
                read_lines(path / "texts" / f"{name}.txt", faults)
            except DataError as error:
                problems.append(str(error))
            try:
                features = load_array(file)
            except DataError as error:
                problems.append(str(error))
                continue
            if features.ndim != 2 or features.shape[1] != spec.features:
                problems.append(f"{file} has shape {features.shape}, not [frames, {spec.features}]")
            elif not np.isfinite(features).all():
                faults.append(f"{file}: not finite")
            else:
                frames += len(features)
    total = sum(map(len, parts.values()))
    if problems:
        raise DataError(f"{path} ({spec.name}): {len(problems)} of {total} motions are wrong: {listed(problems, path)}")
    if absent == total:
        raise MissingFileError(f"{path} ({spec.name}): its lists name {total} clips, of which none has motion and text")
    captions = len(read_captions(spec, path, "train"))
    return [
        f"{path} is the dataset {spec.name}: {total - absent} clips, {frames / spec.fps / 3600:.2f} hours at "
        f"{spec.fps:g} fps, {captions} sentences to train on",
        "parts: " + ", ".join(f"{len(names)} {part}" for part, names in parts.items()),
        *([f"{absent} names in the lists have no motion or no text; they are passed over"] if absent else []),
        *([f"{len(faults)} clips or lines are passed over: they are empty or not finite"] if faults else []),
        *(f"  {fault}" for fault in faults),
        placed(path, spec.defaults["datapath"], "--datapath"),
        f"next: python -m train.train_mdm --dataset {spec.name} --datapath {path} --save_dir save/my_{spec.name}",
    ]


def text_spec(path: Path) -> DatasetSpec:
    """Which dataset with sentences a folder holds: by the width of its figures or features, else by its name.

    Raises DataError if they fit none.
    """
    from utils.run.arrays import load_array

    if (path / "index.json").is_file():
        return DATASETS["mocap"]
    motions = sorted((path / "new_joint_vecs").glob("[!.]*.npy"))
    first = next((file for file in (path / "Mean.npy", path / "Std.npy", *motions) if file.is_file()), None)
    if first is None:
        return DATASETS["kit" if "kit" in path.resolve().name.lower() else "humanml"]
    width = load_array(first).shape[-1:]
    for name in ("humanml", "kit"):
        if width == (DATASETS[name].features,):
            return DATASETS[name]
    raise DataError(f"{first} is {width} wide, which fits neither HumanML3D (263) nor KIT-ML (251)")


def check_humanact12(path: Path) -> list[str]:
    """The folder of HumanAct12 poses, read whole."""
    return check_actions(path, DATASETS["humanact12"], ("train",))


def check_uestc(path: Path) -> list[str]:
    """The folder of UESTC poses, read whole."""
    if missing := [name for name in UESTC_FILES if not (path / name).is_file()]:
        raise MissingFileError(f"{path} (uestc) lacks {', '.join(missing)}: all lie in its archive, uestc.zip")
    return check_actions(path, DATASETS["uestc"], ("train", "test"))


def check_actions(path: Path, spec: DatasetSpec, parts: tuple[str, ...]) -> list[str]:
    """A folder of labelled clips, read by its loader."""
    from data_loaders.options import DataOptions
    from data_loaders.registry import load_dataset

    options = [DataOptions(dataset=spec.name, datapath=str(path), data_split=part) for part in parts]
    counts = {part: len(load_dataset(spec, option)) for part, option in zip(parts, options, strict=True)}
    return [
        f"{path} is the dataset {spec.name}: {', '.join(f'{count} clips ({part})' for part, count in counts.items())} "
        f"of {len(spec.actions)} actions",
        placed(path, spec.defaults["datapath"], "--datapath"),
        f"next: python -m train.train_mdm --dataset {spec.name} --datapath {path} --save_dir save/my_{spec.name}",
    ]


def check_loose(path: Path) -> list[str]:
    """A folder of arrays: 3D pose predictions [frames, 17, 3], or motions that lie one folder too high."""
    from utils.run.arrays import load_array

    files, frames, problems, flat = sorted(path.glob("[!.]*.npy")), 0, [], True
    joints = joint_count(files[0])
    for file in files:
        points = load_array(file)
        if points.dtype.kind not in "fiu" or points.shape[1:] != (joints, 3):
            problems.append(f"{file.name} is {points.dtype} {points.shape}")
            continue
        frames += len(points)
        flat = flat and bool((points[..., 2] >= 0).all())
    if flat and not problems and any(len(row.skeleton.joints) == joints for row in DATASETS.values()):
        raise MissingFileError(f"{path / 'motions'} is missing: the {len(files)} files in {path} belong in there")
    if joints != PREDICTION_JOINTS or problems:
        what = listed(problems, path) or f"{joints} joints"
        raise DataError(f"{path} holds arrays that are neither motions nor pose predictions: {what}")
    name = "elepose_predictions" if "elepose" in path.resolve().name.lower() else "motionBert_predictions"
    return [
        f"{path} holds 3D pose predictions for nba: {len(files)} motions, {frames} frames",
        f"they belong in {ROOT / 'dataset' / 'nba' / name}",
    ]


def check_packed(path: Path) -> list[str]:
    """A folder of packed 3D motion, made by prepare.mocap."""
    from data_loaders.common import packed

    motions = packed.read(path)
    spec = DATASETS["mocap2d"]
    frames = sum(clip["stop"] - clip["start"] for clip in motions.clips)
    return [
        f"{path} is 3D motion for {spec.name}: {len(motions.clips)} clips, {frames / motions.fps / 3600:.2f} hours",
        placed(path, spec.defaults["datapath"], "--datapath"),
    ]


def check_model(path: Path) -> list[str]:
    """A checkpoint, or a folder of them: args.json, every file opened, the weights held against what args.json says."""
    folder = path if path.is_dir() else path.parent
    files = weight_files(folder) if path.is_dir() else [path]
    if not files:
        raise MissingFileError(
            f"{folder} holds args.json but no checkpoint_<step>.pth: fetch it and put it beside args.json"
        )

    from utils.run import checkpoint

    facts = [weight_facts(checkpoint.weights(checkpoint.load(file))) for file in files]
    for file, fact in zip(files, facts, strict=True):
        if not fact:
            raise DataError(f"{file} holds weights of another kind: neither a 2D motion model nor its evaluator")
    fact, newest = facts[-1], files[-1]
    if not (folder / "args.json").is_file():
        likely = [row.name for row in DATASETS.values() if row.features == fact["features"]]
        what = f"a {fact['kind']}" + (f" for {' or '.join(likely)}" if likely else "")
        raise MissingFileError(f"{folder}/args.json is missing: it comes in the same archive as {newest.name} ({what})")
    args = read_json(folder / "args.json")
    spec = expected(args, fact, folder)
    target = f"save/evaluator/{spec.name}" if fact["kind"] == "evaluator" else f"save/{spec.name}"
    size = f"width {fact['latent_dim']}, {fact['layers']} layers, {fact['parameters'] / 1e6:.2f} M parameters"
    lines = [
        f"{folder} is a {fact['kind']} for {spec.name}: {', '.join(file.name for file in files)}",
        f"{fact['arch']}, {size}",
        f"any folder will do; the customary one is {ROOT / target}/<name>",
    ]
    if fact["kind"] == "diffusion model":
        lines.append(f"next: python -m {spec.family.next_command} --model_path {newest}")
    return lines


def weight_facts(weights: "dict[str, Tensor]") -> dict[str, Any]:
    """Architecture and sizes that the names and shapes of a model's weights give away; empty for a foreign model."""
    prefix = next((prefix for prefix in LAYER_NAMES if any(key.startswith(prefix) for key in weights)), None)
    if prefix is None:
        return {}
    arch = LAYER_NAMES[prefix]
    layers = {re.split(r"\D", key[len(prefix) :], maxsplit=1)[0] for key in weights if key.startswith(prefix)}
    entrance = weights.get(ENTRANCES.get(arch, "input_process.poseEmbedding.weight"))
    if entrance is None or entrance.dim() != 2:
        return {}
    width, features = entrance.shape
    size = sum(value.numel() for key, value in weights.items() if not key.endswith(".pe"))
    # The recurrent net is fed its step embedding beside the pose.
    return {
        "kind": "evaluator" if arch == "vae" else "diffusion model",
        "arch": arch,
        "features": features - width if arch == "gru" else features,
        "latent_dim": width,
        "layers": len(layers),
        "parameters": size,
    }


def expected(args: dict[str, Any], fact: dict[str, Any], folder: Path) -> DatasetSpec:
    """The dataset that args.json names. Raises DataError where args.json and the weights contradict each other."""
    name = args.get("dataset", "nba")
    if name not in DATASETS:
        raise DataError(f"{folder}/args.json names the dataset {name!r}; known are {', '.join(DATASETS)}")
    spec = DATASETS[name]
    prefix = "e_" if fact["kind"] == "evaluator" else ""
    said = {f"{prefix}latent_dim": "latent_dim", f"{prefix}num_layers" if prefix else "layers": "layers"}
    if not prefix:
        said["arch"] = "arch"
    for key, what in said.items():
        if key in args and args[key] != fact[what]:
            raise DataError(
                f"{folder}/args.json says {key} {args[key]}, the weights say {fact[what]}: they do not belong together"
            )
    features = fact["features"]
    if fact["arch"] == "dit":
        features //= args.get("frames_per_token", 1)
    if features != spec.features:
        raise DataError(
            f"{folder}/args.json says dataset {name} of {spec.features} numbers a frame, the weights say {features}"
        )
    return spec


if __name__ == "__main__":
    run_command(main)
