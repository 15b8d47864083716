"""The folder of a training run: where it is, whether it may be written, what lies in it, and who holds it."""

import contextlib
import dataclasses
import itertools
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from train.common.platforms import check_platform
from train.options import TrainingOptions
from utils.run.errors import UsageError
from utils.run.files import atomic_write, sync_file, temporary_name, write_json
from utils.run.folders import atomic_folder, claim, locked, refuse_existing
from utils.run.parallel import is_first, shares

OF_DENOISERS = (
    "loss_weight", "text_noise", "lambda_vel", "lambda_rcxyz", "lambda_fc", "lambda_target_loc",
    "eval_during_training", "gen_during_training", "autoregressive",
)  # fmt: skip
NAMED = 5  # faults of the data that are named one by one
DESCRIBED = ("Mean.npy", "Std.npy", "args.json")
# What a run adds to its folder as it goes: saves, what is looked at in them, progress.
LATER = (
    r"checkpoint_\d+\.pth(\.samples)?", r"manifest\.json", r"progress\.jsonl", r"eval_humanml_\d+\.log",
    r"events\.out\.tfevents\..+",
)  # fmt: skip

_OF_SAVE = re.compile(r"checkpoint_(\d+)(?!\d)")
_DESCRIBES = ("args.json", "Mean.npy", "Std.npy", "progress.jsonl")


def refuse_denoisers(training: TrainingOptions, but: Collection[str] = ()) -> None:
    """Raise UsageError for options that say something of denoising, or of motion that a model makes, but for some."""
    for field in dataclasses.fields(training):
        if field.name in {*OF_DENOISERS} - {*but} and getattr(training, field.name) != field.default:
            raise UsageError(f"--{field.name} is for train.train_mdm: the training of an evaluator has nothing like it")


def placed(training: TrainingOptions) -> TrainingOptions:
    """The options with `save_dir` filled in. Refuses, before anything is loaded, a run that has no place or platform.

    Raises UsageError, or MissingFileError for a platform that is not installed.
    """
    check_platform(training.train_platform_type)
    if training.resume_checkpoint:
        source = Path(training.resume_checkpoint)
        training = dataclasses.replace(
            training, save_dir=training.save_dir or str(source if source.is_dir() else source.parent)
        )
    if not training.save_dir:
        raise UsageError("--save_dir is required: the folder where checkpoints are kept")
    shares(training.train_batch_size, training.accumulate)
    if is_first() and not continues(training):
        refuse_existing(training.save_dir, training.overwrite_model, "--overwrite_model", ("args.json",), LATER)
    return training


def statistics_beside(training: TrainingOptions) -> Path | None:
    """The folder whose Mean and Std normalise a run that begins with another's weights, which were trained with them.

    Once it has begun they are in its own folder. None where it begins from scratch, or none lie beside the weights.
    """
    if not training.initial_weights:
        return None
    source = Path(training.resume_checkpoint or training.initial_weights)
    folder = source if source.is_dir() else source.parent
    return folder if all((folder / name).is_file() for name in DESCRIBED[:2]) else None


def continues(training: TrainingOptions) -> bool:
    """Whether the run goes on in the folder of the checkpoint that it resumes."""
    source, folder = Path(training.resume_checkpoint).resolve(), Path(training.save_dir).resolve()
    return bool(training.resume_checkpoint) and folder in (source, source.parent)


def passed_over(dataset: Any) -> list[str]:
    """What to say of the clips and lines of a dataset that are not trained on: how many for each reason, and which."""
    counts, faults = getattr(dataset, "skipped", {}), getattr(dataset, "faults", [])
    said = [f"passed over: {', '.join(f'{count} {reason}' for reason, count in counts.items())}"] if counts else []
    more = [f"  and {len(faults) - NAMED} more (all: python -m prepare.check FOLDER)"] if len(faults) > NAMED else []
    return said + [f"  {fault}" for fault in faults[:NAMED]] + more


@contextlib.contextmanager
def run_folder(training: TrainingOptions, args: Mapping[str, Any], dataset: Any) -> Iterator[None]:
    """Hold the run's folder, which appears with all that describes the run in it, or not at all.

    The first of several ranks does that, and speaks; the others are silent.
    """
    if not is_first():
        with contextlib.redirect_stdout(None):
            yield
        return
    import numpy as np

    statistics = (dataset.mean, dataset.std) if hasattr(dataset, "mean") else ()
    described = (*DESCRIBED[: len(statistics)], DESCRIBED[-1])

    def describe(folder: Path) -> None:
        for name, values in zip(described, statistics, strict=False):
            with atomic_write(folder / name) as handle:
                np.save(handle, values)
        write_json(folder / described[-1], args)

    folder = Path(training.save_dir)
    with contextlib.ExitStack() as held:
        if there := folder.is_dir():
            held.enter_context(locked(folder))
        if continues(training):
            set_aside(folder, training.resume_checkpoint)
            describe(folder)
            claim(folder, described)
        else:
            with atomic_folder(folder, training.overwrite_model, LATER) as made:
                describe(made)
        if not there:
            held.enter_context(locked(folder))
        yield


def set_aside(folder: Path, resumed: str) -> Path | None:
    """Move the saves of a folder that the run which resumes a checkpoint supersedes, and say so.

    They, and what was made of them, go to `superseded_<step>` in the folder, with copies of what describes the run
    that they are of. Returns that folder; None if there are no later saves.
    """
    from train.common.loop import note
    from utils.run import checkpoint

    step = checkpoint.resumed_step(checkpoint.resolve(resumed))
    later = [path for path in folder.iterdir() if (found := _OF_SAVE.match(path.name)) and int(found[1]) > step]
    if not later:
        return None
    names = (f"superseded_{step}{f'_{number}' if number > 1 else ''}" for number in itertools.count(1))
    aside = next(folder / name for name in names if not (folder / name).exists())
    # What is told of them is there before they are, and nowhere missing if the process is killed in between.
    known = checkpoint.read_manifest(folder)
    moved = {path.name: known[path.name] for path in later if path.name in known}
    made = temporary_name(aside)
    made.mkdir()
    try:
        for name in filter(lambda name: (folder / name).is_file(), _DESCRIBES):
            shutil.copyfile(folder / name, made / name)
            sync_file(made / name)
        write_json(made / checkpoint.MANIFEST, moved)
        os.replace(made, aside)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    for path in later:
        path.rename(aside / path.name)
    write_json(folder / checkpoint.MANIFEST, {name: entry for name, entry in known.items() if name not in moved})
    note(f"saves later than step {step}, which this run makes anew, were moved to {aside}")
    return aside
