"""The output folder of a sampling command: it appears whole, with everything asked for, or not at all."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from sample.common.pictures import WORLD, Clip, Drawing, Pictures, inputs_of
from sample.common.request import frames_of, seconds_told, tells_lengths
from sample.common.samples import Samples, put_together
from sample.common.session import Request, Session
from sample.options import SamplingLine, SamplingOptions
from utils.formats import results
from utils.run.background import background
from utils.run.checkpoint import resolve
from utils.run.errors import NumericError
from utils.run.folders import atomic_folder, refuse_existing
from utils.run.names import file_name

FOLDER = "{task}_seed_{seed}"


def results_folder(line: SamplingLine, task: str) -> Path:
    """Where the results of a command go, by the family of its model; refuses what `output_folder` does."""
    return output_folder(line.sampling, line.run.seed, task, line.spec.family.folder)


def output_folder(
    sampling: SamplingOptions, seed: int, task: str, name: str = FOLDER, sure: Sequence[str] = ("results.npy",)
) -> Path:
    """Where results go; refuses a folder that may not be written before any work. Raises UsageError.

    Beside the checkpoint the folder is called `name`, filled in, with the prompt at its end. `sure` are files that will
    be there for certain.
    """
    source = Path(sampling.input_text or sampling.action_file).stem
    prompt = "_".join(sampling.text_prompt) or sampling.action_name or source
    if sampling.output_dir:
        folder = Path(sampling.output_dir)
    else:
        folder = beside(sampling.model_path, name, prompt, task=task, seed=seed)
    refuse_existing(folder, sampling.overwrite, sure=sure)
    return folder


def beside(model_path: str, name: str, words: str, **fields: object) -> Path:
    """A folder beside a checkpoint, words at the end of its name.

    The name is filled in with `fields`, `model` (the checkpoint's folder) and `step`.
    """
    checkpoint = resolve(model_path)
    step = checkpoint.stem.removeprefix("checkpoint_").removeprefix("model")
    return checkpoint.parent / (name.format(model=checkpoint.parent.name, step=step, **fields) + ending(words))


def ending(words: str) -> str:
    """Words as the end of a folder's name."""
    return file_name(f"_{words.replace(' ', '_').replace('.', '')}"[:100], limit=100) if words else ""


def write_results(folder: Path, session: Session, request: Request, parts: Iterable[Samples]) -> Samples:
    """Write all files of the samples that a request comes to, and return them.

    Videos of a part are drawn and encoded while the next one is sampled, and beside each other. Raises NumericError
    for samples that are not finite, MissingFileError or DataError for a file that does not read back.
    """
    pictures = pictures_of(session, request)
    done, clips, waiting = list[Samples](), list[Clip](), list[Drawing]()
    with atomic_folder(folder, session.sampling.overwrite) as target, background() as run:
        for part in parts:
            if not torch.isfinite(part.features).all():
                raise NumericError("the sampled motions hold NaN or infinity: nothing was written")
            if not done:
                waiting = pictures.drawings(session, len(request.lengths), part)
            done.append(part)
            clips += pictures.clips(session, part)
            for drawing in [each for each in waiting if max(each.rows, default=0) < len(clips)]:
                waiting.remove(drawing)
                run(drawing.write, target, [clips[row] for row in drawing.rows])
        samples = put_together(done)
        write_numbers(target, session, samples)
        pictures.sheet(target / "contact_sheet.png", session, clips, inputs_of(samples))
    return samples


def pictures_of(session: Session, request: Request) -> Pictures:
    """How what is requested is drawn: motion of which something is known in the world, with that in another colour."""
    edited = request.inputs is not None and "known" in request.inputs
    return WORLD if edited else session.spec.family.function("pictures")


def write_numbers(folder: Path, session: Session, samples: Samples) -> Path:
    """Write results.npy and its copies, read it back, and return its path."""
    family, path = session.spec.family, folder / "results.npy"
    content = family.function("content")(session, samples)
    results.write(path, content)
    family.function("copy")(path, content)
    return path


def announcement(session: Session, request: Request) -> str:
    """What will be sampled, and what in the model may surprise: for the user, before it is."""
    model, sampling = session.model_options, session.sampling
    lines = []
    if sampling.text_prompt and not session.encode:
        lines.append("note: this model reads no text; --text_prompt names the folder and the videos only")
    if model.over_batch:
        lines.append("note: this model recurs over the batch, as published, so samples depend on each other")
    if not model.mask_frames and (model.arch == "trans_dec" or not session.spec.family.encoder_hides):
        lines.append("note: this model sees padded frames, as published, so samples depend on the longest")
    lines += lengths_told(session, request)
    count, name, shortest = len(request.lengths), session.spec.name, int(request.lengths.min())
    frames = f"{shortest} to {request.frames}" if shortest < request.frames else f"{request.frames}"
    return "\n".join([*lines, f"sampling {count} motions of {frames} frames ({name}, {session.path})"])


def lengths_told(session: Session, request: Request) -> list[str]:
    """A line about lengths that come from the sentences, with the range of one sentence's, where they do."""
    texts = sorted({text for title in request.titles for text in ([title] if isinstance(title, str) else title)})
    of_data = bool(set(request.inputs or {}) - {"prefix"})  # --use_data, or motion that is edited
    of_windows = not session.sampling.text_prompt and not all(isinstance(title, str) for title in request.titles)
    if of_data or of_windows or not tells_lengths(session):
        return []
    frames = frames_of(session, texts)
    shortest, longest = (each / session.spec.fps for each in (min(frames), max(frames)))
    if len(texts) > 1:
        said = f"each sentence tells how long its motion is, {shortest:.1f} to {longest:.1f} s"
    else:
        low, _, high = seconds_told(session, texts)[0].tolist()
        said = f"motion of such a sentence usually takes {low:.1f} to {high:.1f} s, so it gets {longest:.1f} s"
    return [f"note: {said}; --motion_length wins"]


def summary(folder: Path, request: Request) -> str:
    """What was written, for the user."""
    return f"results.npy, {len(request.lengths)} videos and contact_sheet.png are in {folder}"
