"""The function behind a web endpoint: a sentence becomes videos, or joint angles, by a model that is loaded once.

Any framework will do, for nothing here knows of one and there is no state between requests. With FastAPI:

    from fastapi import FastAPI
    from sample.predictor import Predictor

    app, predictor = FastAPI(), Predictor("save/mocap_text", sampler="dpm++", sampling_steps=10)

    @app.post("/predictions")
    def predictions(prompt: str, num_repetitions: int = 3, seed: int = 0) -> list[str]:
        return [str(video) for video in predictor.predict(prompt, num_repetitions, seed=seed)]
"""

import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from body.from_joints import make_body
from body.models import load_body
from body.options import BodyOptions
from data_loaders.registry import dataset_spec
from sample.common.motions import Made, made
from sample.common.plain import sample_plain
from sample.common.request import make_request
from sample.common.session import Session, open_session
from sample.endless.windows import STANDING, endless_request, sample_endless
from sample.options import TEXT_MODEL, EndlessOptions, PrefixOptions, parse_sampling
from utils.formats import hik, video
from utils.geometry.motion import Motion
from utils.run.errors import UsageError
from utils.run.folders import atomic_folder
from utils.run.options import RunOptions
from visualize.sticks import figures

FORMATS = ("animation", "json_file")
ANGLES = "joint_angles.json"


class Predictor:
    """A model of 3D motion that is told sentences, ready to be asked, by several threads too.

    `run` says where and how it computes, `text_encoder_path` where CLIP or DistilBERT lies, `changes` are fields of
    `SamplingOptions` (`sampler`, `guidance_param`, ...).
    Raises UsageError for a model that is told no sentences, and what loading raises.
    """

    def __init__(
        self,
        model_path: str | Path = TEXT_MODEL,
        run: RunOptions | None = None,
        text_encoder_path: str = "",
        **changes: Any,
    ):
        flags = ["--model_path", str(model_path), "--text_encoder_path", text_encoder_path]
        _, sampling, data, model, diffusion = parse_sampling("sample.predict", "", (), flags)
        if data.cond != "text" or not dataset_spec(data.dataset).is_3d:
            raise UsageError(
                f"{model_path} makes no 3D motion from sentences; models of humanml, kit and mocap with --cond text do"
            )
        self._session = open_session(run or RunOptions(), replace(sampling, **changes), data, model, diffusion)
        self._asking = threading.Lock()

    def predict(
        self,
        prompt: str,
        num_repetitions: int = 3,
        output_format: str = "animation",
        seed: int = 0,
        folder: str | Path | None = None,
        overwrite: bool = False,
    ) -> list[Path]:
        """Six seconds of what `prompt` says, made `num_repetitions` times: an mp4 of each, in order.

        With the `output_format` json_file one file holds the joint angles of them all on a body (`utils.formats.hik`;
        the body is SMPL where its files are, else the free body). They are in `folder`, or without one in a new
        temporary folder, which is the caller's to remove. The same prompt and seed give the same files, whatever was
        asked before. Raises UsageError for what cannot be answered.
        """
        check_question(prompt, num_repetitions, output_format)
        session = self._session
        sampling = replace(
            session.sampling, text_prompt=(prompt,), num_samples=1, num_repetitions=num_repetitions, motion_length=None
        )
        session = replace(session, run=replace(session.run, seed=seed), sampling=sampling)
        with self._asking:
            motions = make_motions(session)
        target = Path(folder or tempfile.mkdtemp(prefix="prediction_"))
        write = write_angles if output_format == "json_file" else write_videos
        return write(target, session, motions, overwrite or not folder)


def check_question(prompt: str, num_repetitions: int, output_format: str) -> None:
    """Refuse what `Predictor.predict` cannot answer, before a model is loaded. Raises UsageError."""
    if output_format not in FORMATS:
        raise UsageError(f"output_format is {output_format!r}; choose from {', '.join(FORMATS)}")
    if not prompt.strip():
        raise UsageError('the prompt is empty; say what the person does, as in "a person walks"')
    if num_repetitions < 1:
        raise UsageError(f"num_repetitions is {num_repetitions}; at least 1")


def make_motions(session: Session) -> Made:
    """What the session's options ask for; a model that is shown frames before it goes on from a person who stands."""
    if session.model_options.context_len:
        request, _ = endless_request(session, PrefixOptions(prefix_motion=STANDING), EndlessOptions())
        return sample_endless(session, request)
    request = make_request(session)
    return made(request, sample_plain(session, request))


def write_videos(folder: Path, session: Session, motions: Made, overwrite: bool = False) -> list[Path]:
    """Write `repetition_0.mp4` and so on, as a whole folder or not at all. Raises UsageError or NumericError."""
    joints, skeleton = session.joints(motions.features).float(), session.spec.skeleton
    names = [f"repetition_{number}.mp4" for number in range(len(joints))]
    with atomic_folder(folder, overwrite) as target:
        for name, clip, length, title in zip(names, joints, motions.lengths.tolist(), motions.titles, strict=True):
            video.write_video(
                target / name, figures.draw_world(clip[:length].numpy(), skeleton, title), session.spec.fps
            )
    return [folder / name for name in names]


def write_angles(folder: Path, session: Session, motions: Made, overwrite: bool = False) -> list[Path]:
    """Fit a body to each motion and write `joint_angles.json`, as a whole folder or not at all.

    Raises UsageError, DataError or NumericError.
    """
    skeleton, model = session.spec.skeleton, load_body()
    joints = session.joints(motions.features).float() * skeleton.metres_per_unit
    clips = [
        Motion(clip[:length].numpy(), session.spec.fps, skeleton.joints, skeleton.parents, name=f"repetition_{number}")
        for number, (clip, length) in enumerate(zip(joints, motions.lengths.tolist(), strict=True))
    ]
    posed = [make_body(clip, BodyOptions(), model)[0] for clip in clips]
    with atomic_folder(folder, overwrite) as target:
        hik.write(target / ANGLES, posed)
        hik.read(target / ANGLES)
    return [folder / ANGLES]
