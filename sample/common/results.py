"""The output folder of a sampling command: it appears whole, with everything asked for, or not at all."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_loaders.registry import DatasetSpec, dataset_spec
from sample.common.motions import Made, caption, made, write_motions, write_pictures
from sample.common.request import make_request
from sample.common.session import Request, Session, open_session
from sample.options import SamplingOptions
from utils.formats import results, video
from utils.run.checkpoint import resolve
from utils.run.errors import DataError, NumericError, UsageError
from utils.run.folders import atomic_folder, refuse_existing
from utils.run.names import file_name
from utils.run.provenance import provenance
from visualize.sticks import contact_sheet, figures

TIMES_PLAYED = 2  # a 3D clip in its video, while the camera goes around


def output_folder(
    sampling: SamplingOptions, seed: int, task: str, is_3d: bool = False, sure: Sequence[str] = ("results.npy",)
) -> Path:
    """Where results go; refuses a folder that may not be written before any work. Raises UsageError.

    Beside the checkpoint, MAS's are named <task>_seed_<seed>, those of 3D models samples_<folder>_<step>_seed<seed>,
    each with the prompt at its end. `sure` are files that will be there for certain.
    """
    source = Path(sampling.input_text or sampling.action_file).stem
    prompt = "_".join(sampling.text_prompt) or sampling.action_name or source
    if sampling.output_dir:
        folder = Path(sampling.output_dir)
    elif is_3d:
        folder = beside(sampling.model_path, "samples" if task == "sample" else task, f"seed{seed}", prompt)
    else:
        folder = resolve(sampling.model_path).parent / f"{task}_seed_{seed}{ending(prompt)}"
    refuse_existing(folder, sampling.overwrite, sure=sure)
    return folder


def beside(model_path: str, task: str, how: str, words: str) -> Path:
    """The published name of a folder of 3D motion beside its checkpoint: <task>_<folder>_<step>_<how>_<words>."""
    checkpoint = resolve(model_path)
    step = checkpoint.stem.removeprefix("checkpoint_").removeprefix("model")
    return checkpoint.parent / f"{task}_{checkpoint.parent.name}_{step}_{how}{ending(words)}"


def ending(words: str) -> str:
    """Words as the end of a folder's name."""
    return file_name(f"_{words.replace(' ', '_').replace('.', '')}"[:100], limit=100) if words else ""


def write_results(folder: Path, session: Session, request: Request, motions: Tensor) -> None:
    """Write results.npy, results.npz, a video of each sample, a contact sheet, and the input motions if asked for.

    motions: 2D [B, T, J, 2] in data units or 3D [B, T, J, 3]. Raises NumericError if they are not finite.
    """
    if not torch.isfinite(motions).all():
        raise NumericError("the sampled motions hold NaN or infinity: nothing was written")
    shown = motions.cpu().numpy().astype(np.float32)
    cut = [motion[:length] for motion, length in zip(shown, request.lengths.tolist(), strict=True)]
    played = TIMES_PLAYED if shown.shape[-1] == 3 else 1
    with atomic_folder(folder, session.sampling.overwrite) as made:
        content = result_content(session, request, shown)
        results.write(made / "results.npy", content)
        write_plain(made / "results.npz", content)
        for i, motion in enumerate(cut):
            write_video(made / f"result_{i}.mp4", motion, session.spec, caption(request.titles[i]))
        contact_sheet.write_contact_sheet(
            made / "contact_sheet.png", cut, session.spec.skeleton,
            fps=session.spec.fps, trajectory_joints=session.spec.trajectory,
        )  # fmt: skip
        frames = {f"result_{i}.mp4": played * len(motion) for i, motion in enumerate(cut)}
        if session.sampling.show_input_motions and request.inputs:
            write_inputs(made, session, request.inputs)
            lengths = request.inputs["lengths"].tolist()
            frames |= {f"input_motions_{i}.mp4": length for i, length in enumerate(lengths)}
        results.load(made / "results.npy")
        check_videos(made, frames)


def write_edited(folder: Path, session: Session, request: Request, motions: Made) -> None:
    """Write results.npy and results.npz of 3D motion of MAS of which something was given, and pictures that show it.

    Raises NumericError if it is not finite.
    """
    if not torch.isfinite(motions.features).all():
        raise NumericError("the edited motions hold NaN or infinity: nothing was written")
    with atomic_folder(folder, session.sampling.overwrite) as target:
        content = result_content(session, request, motions.features.numpy().astype(np.float32))
        results.write(target / "results.npy", content)
        write_plain(target / "results.npz", content)
        write_pictures(target, session, motions, motions.features * motions.features.new_tensor((1, 1, -1)))
        results.load(target / "results.npy")


def result_content(session: Session, request: Request, motions: np.ndarray) -> dict[str, Any]:
    """The dict of results.npy; 2D motions turn to the published order [B, J, 2, T]."""
    conditions: dict[str, Any] = {"lengths": request.lengths.numpy()}
    if request.inputs and "mask" in request.inputs:
        mask = request.inputs["mask"].expand(-1, -1, -1, 2)
        conditions |= {"mask": mask.permute(0, 2, 3, 1).contiguous().numpy(), "uncond": True}
    if session.sampling.text_prompt or session.encode:
        conditions["text"] = [caption(title) for title in request.titles]
    if session.data.cond != "no_cond":
        if "action" in request.told:
            conditions["action"] = request.told["action"][:, None].numpy()
        conditions["scale"] = np.full(len(motions), session.sampling.guidance_param, np.float32)
    skeleton = session.spec.skeleton
    return {
        "motions": motions if motions.shape[-1] == 3 else np.ascontiguousarray(motions.transpose(0, 2, 3, 1)),
        "model_kwargs": {"y": conditions},
        "fps": float(session.spec.fps),
        "joint_names": list(skeleton.joints),
        "parents": list(skeleton.parents),
        "dataset": session.spec.name,
        "provenance": provenance(session.run.seed, session.path),
    }


def write_plain(path: Path, content: dict[str, Any]) -> None:
    """The same motions without pickle, for readers that rightly refuse one."""
    lengths = content["model_kwargs"]["y"]["lengths"]
    names = {name: content[name] for name in ("fps", "joint_names", "parents")}
    np.savez_compressed(path, motions=content["motions"], lengths=lengths, **names)


def write_video(
    path: Path, motion: np.ndarray, spec: DatasetSpec, title: str, confidence: np.ndarray | None = None
) -> None:
    """One clip: 2D as it is, 3D twice under a camera that goes around."""
    if motion.shape[-1] == 2:
        frames = figures.draw_2d(motion, spec.skeleton, title, confidence=confidence)
    else:
        frames = figures.draw_3d(motion, spec.skeleton, title, trajectory_joints=spec.trajectory, turns=TIMES_PLAYED)
    video.write_video(path, frames, spec.fps)


def write_inputs(folder: Path, session: Session, inputs: dict[str, Tensor]) -> None:
    """The data's own motions, unseen joints marked."""
    motions = session.to_data(inputs["motion"]).numpy()
    for i, (motion, mask, length) in enumerate(
        zip(motions, inputs["mask"].numpy(), inputs["lengths"].tolist(), strict=True)
    ):
        write_video(folder / f"input_motions_{i}.mp4", motion[:length], session.spec, "", mask[:length, :, 0])


def check_videos(folder: Path, frames: Mapping[str, int]) -> None:
    """Read videos back: each is there and has so many frames. Raises MissingFileError or DataError."""
    for name, expected in frames.items():
        found = video.frame_count(folder / name)
        if found != expected:
            raise DataError(f"{name} reads back with {found} frames instead of {expected}: nothing was kept")


def run_sampling(
    options: list[Any],
    task: str,
    make: Callable[[Session, Request], Tensor | Made],
    request_of: Callable[[Session], Request] = make_request,
) -> None:
    """What every sampling command does once its line is parsed: refuse, load, make the motions, write, say where."""
    run, sampling, data, model, diffusion = options[:5]
    folder = output_folder(sampling, run.seed, task, dataset_spec(data.dataset).is_3d)
    if sampling.show_input_motions and not sampling.use_data:
        raise UsageError("--show_input_motions draws the motions that --use_data takes: add that flag")
    session = open_session(run, sampling, data, model, diffusion)
    request = request_of(session)
    if sampling.text_prompt and not session.encode:
        print("note: this model reads no text; --text_prompt names the folder and the videos only")
    if model.over_batch:
        print("note: this model recurs over the batch, as published, so samples depend on each other")
    if not model.mask_frames and (model.arch == "trans_dec" or session.spec.is_3d):
        print("note: this model sees padded frames, as published, so samples depend on the longest")
    print(f"sampling {len(request.lengths)} motions of {request.frames} frames ({session.spec.name}, {session.path})")
    started = time.monotonic()
    motions = make(session, request)
    print(f"sampled in {time.monotonic() - started:.1f} s; writing")
    if session.spec.is_3d:
        write_motions(folder, session, motions if isinstance(motions, Made) else made(request, motions))
    elif isinstance(motions, Made):
        write_edited(folder, session, request, motions)
    else:
        write_results(folder, session, request, motions)
    print(f"results.npy, {len(request.lengths)} videos and contact_sheet.png are in {folder}")
