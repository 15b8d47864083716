"""The function behind a web endpoint: a sentence becomes videos, or joint angles, by a model that is loaded once.

Any framework will do, for nothing here knows of one and there is no state between requests. With FastAPI:

    from fastapi import FastAPI
    from sample.predictor import Predictor

    app, predictor = FastAPI(), Predictor("save/mocap_text", sampler="dpm++", sampling_steps=10)

    @app.post("/predictions")
    def predictions(prompt: str, num_repetitions: int = 3, seed: int = 0) -> list[str]:
        return [str(video) for video in predictor.predict(prompt, num_repetitions, seed=seed)]
"""

import dataclasses
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from body.from_joints import make_body
from body.models import load_body
from body.options import BodyOptions
from sample.choosing.finishing import finished
from sample.common.plain import sample_plain
from sample.common.request import make_request
from sample.common.samples import Samples, samples_of
from sample.common.session import Request, Session, open_session
from sample.endless.windows import STANDING, endless_request, sample_endless
from sample.options import (
    TEXT_MODEL,
    EndlessOptions,
    FinishOptions,
    PrefixOptions,
    SamplingLine,
    SamplingOptions,
    check_finish,
    holds_feet,
    parse_sampling_line,
)
from utils.formats import hik, video
from utils.geometry.body import BodyMotion
from utils.geometry.motion import Motion
from utils.run.background import background
from utils.run.errors import UsageError
from utils.run.folders import atomic_folder
from utils.run.options import RunOptions
from utils.run.parser import nearest
from visualize.files.exporting import export
from visualize.options import FORMATS as EXPORTS
from visualize.sticks import figures

FORMATS = ("animation", "json_file", *EXPORTS)
ANGLES = "joint_angles.json"
OF_A_QUESTION = ("text_prompt", "input_text", "num_samples", "num_repetitions", "motion_length", "output_dir")


class Predictor:
    """A text model of 3D motion, ready to answer, several threads too.

    `run` says where and how it computes, `text_encoder_path` where CLIP or DistilBERT lies, `changes` are fields of
    `SamplingOptions` and `FinishOptions` (`sampler`, `guidance_param`, `candidates`, ...).
    Raises UsageError for other names, for a model that reads no sentences, and what loading raises.
    """

    def __init__(
        self,
        model_path: str | Path = TEXT_MODEL,
        run: RunOptions | None = None,
        text_encoder_path: str = "",
        **changes: Any,
    ):
        check_changes(changes)
        flags = ["--model_path", str(model_path), "--text_encoder_path", text_encoder_path]
        line = parse_sampling_line(SamplingLine, "sample.predict", "", flags)
        if line.data.cond != "text" or line.spec.family.flat:
            raise UsageError(
                f"{model_path} makes no 3D motion from sentences; models of humanml, kit and mocap with --cond text do"
            )
        after = {name: value for name, value in changes.items() if name in FinishOptions.__dataclass_fields__}
        finish = FinishOptions(**after)
        line = replace(line, run=run or RunOptions())
        check_finish(finish, line)
        sampling = replace(line.sampling, **{name: changes[name] for name in changes if name not in after})
        self._session = open_session(replace(line, sampling=sampling))
        self._sample = finished(self._session, sample_answer, finish.candidates, holds_feet(finish, line))
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
        """What `prompt` says, made `num_repetitions` times: an mp4 of each, in order.

        The motion is as long as such motion usually takes, 2 to 6 s (6 s with encoders whose sentences tell no length).

        With the `output_format` json_file one file holds the joint angles of them all on a body (`utils.formats.hik`;
        the body is SMPL where its files are, else the free body); with one of `visualize.render_mesh` (glb, bvh, ...)
        that body is in a file of it. They are in `folder`, or without one in a new temporary folder, which is the
        caller's to remove. The same prompt and seed give the same files, whatever came before. Raises UsageError
        for what cannot be answered.
        """
        check_question(prompt, num_repetitions, output_format)
        session = self._session_of(prompt, num_repetitions, seed)
        samples = self._sampled(session)
        target, overwrite = Path(folder or tempfile.mkdtemp(prefix="prediction_")), overwrite or not folder
        if output_format == "animation":
            return write_videos(target, session, samples, overwrite)
        return write_bodies(target, bodies_of(motions_of(session, samples)), output_format, overwrite)

    def motions(self, prompt: str, num_repetitions: int = 3, seed: int = 0) -> list[Motion]:
        """The same motions as arrays: positions [T, J, 3] in metres, right-handed, y up, with rate and joints.

        Raises UsageError for what cannot be answered.
        """
        check_question(prompt, num_repetitions, FORMATS[0])
        session = self._session_of(prompt, num_repetitions, seed)
        return motions_of(session, self._sampled(session))

    def _session_of(self, prompt: str, num_repetitions: int, seed: int) -> Session:
        """The session that answers a question."""
        session = self._session
        sampling = replace(
            session.sampling, text_prompt=(prompt,), num_samples=1, num_repetitions=num_repetitions, motion_length=None
        )
        return replace(session, run=replace(session.run, seed=seed), sampling=sampling)

    def _sampled(self, session: Session) -> Samples:
        with self._asking:
            return self._sample(session, request_of(session))


def check_changes(changes: dict[str, Any]) -> None:
    """Refuse arguments that are no options of sampling, or that a question decides. Raises UsageError."""
    groups = (SamplingOptions, FinishOptions)
    known = [item.name for group in groups for item in dataclasses.fields(group) if item.name not in OF_A_QUESTION]
    for name in changes:
        if name not in known:
            raise UsageError(f"Predictor knows no argument {name}{nearest(name, known)}; it takes {', '.join(known)}")


def check_question(prompt: str, num_repetitions: int, output_format: str) -> None:
    """Refuse what `Predictor.predict` cannot answer, before a model is loaded. Raises UsageError."""
    if output_format not in FORMATS:
        raise UsageError(f"output_format is {output_format!r}; choose from {', '.join(FORMATS)}")
    if not prompt.strip():
        raise UsageError('the prompt is empty; say what the person does, as in "a person walks"')
    if num_repetitions < 1:
        raise UsageError(f"num_repetitions is {num_repetitions}; at least 1")


def certain_files(output_format: str) -> tuple[str, ...]:
    """Files that an answer holds for certain."""
    return {"animation": ("repetition_0.mp4",), "json_file": (ANGLES,)}.get(output_format, ())


def request_of(session: Session) -> Request:
    """What the session's options request; a model that is shown frames before it goes on from a person who stands."""
    if session.model_options.context_len:
        return endless_request(session, PrefixOptions(prefix_motion=STANDING), EndlessOptions())[0]
    return make_request(session)


def sample_answer(session: Session, request: Request) -> Samples:
    """The motions of a request, window after window where the model is shown frames before them."""
    if session.model_options.context_len:
        return sample_endless(session, request)
    return samples_of(request, sample_plain(session, request))


def write_videos(folder: Path, session: Session, samples: Samples, overwrite: bool = False) -> list[Path]:
    """Write `repetition_0.mp4` and so on, as a whole folder or not at all. Raises UsageError or NumericError."""
    joints, skeleton = samples.joints(session).float(), session.spec.skeleton
    names = [f"repetition_{number}.mp4" for number in range(len(joints))]
    with atomic_folder(folder, overwrite) as target, background() as run:
        for name, clip, length, title in zip(names, joints, samples.lengths.tolist(), samples.titles, strict=True):
            frames = figures.draw_world(clip[:length].numpy(), skeleton, title)
            run(video.write_video, target / name, frames, session.spec.fps)
    return [folder / name for name in names]


def motions_of(session: Session, samples: Samples) -> list[Motion]:
    """Samples as records, in metres."""
    skeleton = session.spec.skeleton
    joints = samples.joints(session).float() * skeleton.metres_per_unit
    return [
        Motion(clip[:length].numpy(), session.spec.fps, skeleton.joints, skeleton.parents, name=f"repetition_{number}")
        for number, (clip, length) in enumerate(zip(joints, samples.lengths.tolist(), strict=True))
    ]


def bodies_of(motions: list[Motion]) -> list[BodyMotion]:
    """A body fitted to each motion. Raises DataError or NumericError."""
    model = load_body()
    return [make_body(clip, BodyOptions(), model)[0] for clip in motions]


def write_bodies(folder: Path, bodies: list[BodyMotion], output_format: str, overwrite: bool = False) -> list[Path]:
    """Write bodies, `joint_angles.json` for json_file, as a whole folder or not at all.

    Raises UsageError, DataError or NumericError.
    """
    with atomic_folder(folder, overwrite) as target:
        if output_format == "json_file":
            hik.write(target / ANGLES, bodies)
            hik.read(target / ANGLES)
            return [folder / ANGLES]
        written = export(bodies, [output_format], target, "prediction")
        return [folder / path.name for path in written]
