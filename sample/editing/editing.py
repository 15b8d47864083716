"""Editing: of a motion something is kept, the rest is made anew (MDM, Tevet et al. 2023, section 4.2).

What is kept: frames, joints, or both. Where a frame is kept all its joints are, and where a joint is not among those
made anew it is kept in every frame. What is known is put back into every estimate of x_0, and what is kept after a gap
lands where it was in the world (`landing`). 3D motion of a 2D model is edited inside MAS, in the 3D motion behind all
views.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from data_loaders.registry import DatasetSpec, dataset_spec
from data_loaders.representations import hml
from diffusion.projectors import keyframes
from model.denoisers.conditions import HIDDEN
from sample.common.motions import Made
from sample.common.plain import sample_plain
from sample.common.request import choose_actions
from sample.common.results import beside, run_sampling
from sample.common.session import Request, Session
from sample.common.sources import Source, read_sources
from sample.editing.end_constraint import eased, fading, landing_of
from sample.multiview.sampling import sample_3d
from sample.options import EditOptions, MasOptions, SamplingOptions
from utils.geometry.skeleton import Skeleton
from utils.run.errors import UsageError
from utils.run.parser import nearest

_LOWER_BODY = {
    "smpl22": "pelvis left_hip right_hip left_knee right_knee left_ankle right_ankle left_foot right_foot",
    "kit21": "root LH LK LA LMrot LF RH RK RA RMrot RF",
    "nba": "Hip RHip RKnee RAnkle LHip LKnee LAnkle",
    "gymnastics": "LeftHip RightHip LeftKnee RightKnee LeftAnkle RightAnkle",
}
_LOWER_BODY["smpl24"] = _LOWER_BODY["smpl22"]
_INSTEAD = {
    "text_prompt": "text_condition",
    "input_text": "text_condition",
    "action_file": "action_name",
    "use_data": "input_motion",
    "show_input_motions": "input_motion",
}


def run_edit(options: list[Any]) -> None:
    """What the command does once its line is parsed."""
    run, sampling, data, model, _, mas, edit = options
    refuse(sampling, data.cond, edit, model.context_len)
    made_joints(edit, dataset_spec(data.dataset).skeleton)
    named = replace(sampling, output_dir=sampling.output_dir or str(folder_of(sampling, run.seed, edit)))
    sources: list[Source] = []

    def ask(session: Session) -> Request:
        sources.extend(read_sources(session, edit.input_motion))
        request = edit_request(session, edit, sources)
        for source in sources:
            print(f"editing {source.title or 'a clip'}" + (f" ({source.note})" if source.note else ""))
        return request

    def make(session: Session, request: Request) -> Made:
        return edited(session, request, mas, sources)

    run_sampling([run, named, *options[2:]], "edit", make, ask)


def refuse(sampling: SamplingOptions, cond: str, edit: EditOptions, context: int) -> None:
    """Refuse what cannot be obeyed, before anything is loaded. Raises UsageError."""
    for flag, instead in _INSTEAD.items():
        if getattr(sampling, flag):
            raise UsageError(f"--{flag} does not go with editing: see --{instead}")
    if edit.text_condition and cond != "text":
        raise UsageError(f"--text_condition: {sampling.model_path} reads no text")
    if context:
        raise UsageError(f"{sampling.model_path} only continues motion, see --prefix_motion of sample.generate")


def folder_of(sampling: SamplingOptions, seed: int, edit: EditOptions) -> Path:
    """The folder that an edit writes if none is named, beside the checkpoint."""
    return beside(sampling.model_path, "edit", f"{mode_of(edit)}_seed{seed}", edit.text_condition)


def mode_of(edit: EditOptions) -> str:
    """What kind of edit is asked for."""
    said = (edit.edit_mode, "keyframes" if edit.keyframes else "", "joints" if edit.joints else "")
    return "_".join(filter(None, said)) or "in_between"


def kept_frames(edit: EditOptions, frames: int) -> Tensor:
    """The frames [frames] of a motion that are kept whole, bool. Raises UsageError for one that is not there."""
    kept = torch.zeros(frames, dtype=torch.bool)
    if mode_of(edit).startswith("in_between"):
        kept[: int(edit.prefix_end * frames)] = True
        kept[int(edit.suffix_start * frames) :] = True
    for part in edit.keyframes.split(",") if edit.keyframes else ():
        kept[_span(part.strip(), frames)] = True
    return kept


def _span(text: str, frames: int) -> slice:
    """The frames that a part of `--keyframes` names: 30, -1, 50:60 or 50: to the end. Raises UsageError."""
    match = re.fullmatch(r"(-?\d+)(:(-?\d+)?)?", text)
    if not match:
        raise UsageError(f"--keyframes: {text!r} is neither a frame (30, -1) nor frames in a row (50:60, 50:)")
    first = int(match[1]) + frames * match[1].startswith("-")
    stop = first + 1 if not match[2] else int(match[3]) + frames * match[3].startswith("-") if match[3] else frames
    if not 0 <= first < stop <= frames:
        raise UsageError(f"--keyframes {text}: the motion has {frames} frames, 0 to {frames - 1}")
    return slice(first, stop)


def made_joints(edit: EditOptions, skeleton: Skeleton) -> Tensor:
    """The joints [J] that are made anew where the frame is not kept, bool. Raises UsageError for an unknown one."""
    if not edit.joints and edit.edit_mode != "upper_body":
        return torch.ones(len(skeleton.joints), dtype=torch.bool)
    for name in edit.joints:
        if name not in skeleton.joints:
            known = f"{nearest(name, skeleton.joints)}; its joints are {' '.join(skeleton.joints)}"
            raise UsageError(f"--joints: {skeleton.name} has no joint {name!r}{known}")
    made = set(edit.joints)
    if edit.edit_mode == "upper_body":
        if skeleton.name not in _LOWER_BODY:
            raise UsageError(f"--edit_mode upper_body: {skeleton.name} has no upper body; name joints with --joints")
        made |= set(skeleton.joints) - set(_LOWER_BODY[skeleton.name].split())
    return torch.tensor([name in made for name in skeleton.joints])


def kept_features(spec: DatasetSpec, kept: Tensor) -> Tensor:
    """The features [F] of the joints `kept` [J], bool; the root's path, turn and height belong to the root."""
    if spec.representation == "rot6d":
        return torch.cat((kept, kept[:1])).repeat_interleave(6)
    return hml.feature_mask(hml.layout_of(spec.skeleton), kept.nonzero()[:, 0].tolist(), root=bool(kept[0]))


def edit_request(session: Session, edit: EditOptions, sources: Sequence[Source]) -> Request:
    """What to sample: every repetition of each source, with what is kept of it.

    `inputs` are `known` [N, T, F] or [N, T, J, 3], `given` [N, T, J] true at joints that are kept, and for features
    `kept` [N, T, F]. Raises UsageError where nothing is kept or nothing is made anew.
    """
    spec = session.spec
    made = made_joints(edit, spec.skeleton)
    rows = list(sources) * session.sampling.num_repetitions
    frames = [kept_frames(edit, len(source.frames)) for source in rows]
    for source, kept in zip(rows, frames, strict=True):
        what = f"{mode_of(edit)}: of {source.title!r}, {len(kept)} frames,"
        if kept.all():
            raise UsageError(f"{what} all is kept; there is nothing to make anew")
        if not kept.any() and made.all():
            raise UsageError(f"{what} nothing is kept; sample.generate makes motion from nothing")
    lengths = torch.tensor([len(kept) for kept in frames])
    valid = (torch.arange(int(lengths.max())) < lengths[:, None])[..., None]
    whole = pad_sequence(frames, batch_first=True)[..., None]
    inputs = {
        "known": pad_sequence([source.frames for source in rows], batch_first=True),
        "given": (whole | ~made) & valid,
    }
    if spec.is_3d:
        inputs["kept"] = (whole | kept_features(spec, ~made)) & valid
    told, title = _told(session, edit, rows)
    return Request(lengths, told, title, inputs)


def _told(session: Session, edit: EditOptions, rows: Sequence[Source]) -> tuple[dict[str, Tensor], list[str]]:
    """What the model is told of each row, and the titles. Raises UsageError where it must be told and is not."""
    without = session.model_options.cond_mask_prob == 0
    if session.data.cond == "text":
        if edit.text_condition and session.encode:
            titles = [edit.text_condition] * len(rows)
            return session.told_text(titles), titles
        if without:
            raise UsageError(f"{session.path.parent} never made motion without a sentence: give --text_condition")
    if session.data.cond == "action":
        action = torch.tensor([source.action for source in rows])
        if session.sampling.action_name:
            action = choose_actions(session, len(rows))
        if without and (action == HIDDEN).any():
            raise UsageError(f"{session.path.parent} never made motion of no kind: give --action_name")
        names = ["" if label == HIDDEN else session.spec.actions[label] for label in action.tolist()]
        return {"action": action}, names
    return {}, [""] * len(rows)


def edited(session: Session, request: Request, mas: MasOptions, sources: Sequence[Source]) -> Made:
    """The motions of a request; what is kept of the sources is as it was: features to the bit, joints in the world."""
    inputs, titles = request.inputs or {}, [source.title for source in sources]
    known, given = inputs["known"], inputs["given"]
    if not session.spec.is_3d:
        points = sample_3d(session, request, mas, held=(known, given))
        right_handed = points.new_tensor((1, 1, -1))
        clips = [source.frames * right_handed for source in sources]
        made = Made(points, request.lengths, request.titles, given, points * right_handed)
    else:
        clips = [session.joints(source.frames) for source in sources]
        make = edited_features if session.spec.representation == "hml" else edited_rotations
        made = make(session, request, known, inputs["kept"])
        made = replace(made, given=given)
    return replace(made, inputs=tuple(zip(clips, titles, strict=True)))


def edited_features(session: Session, request: Request, known: Tensor, kept: Tensor) -> Made:
    """Features of HumanML3D [N, T, F] of which `kept` are the `known` ones, in data units; the gaps end in the world
    where they must."""
    layout = hml.layout_of(session.spec.skeleton)
    land = landing_of(known, kept[..., :4].all(-1), layout)
    features = _made_around(session, request, known, kept, land)
    heading, place = land.start(features)
    made = Made(features, request.lengths, request.titles)
    if heading.any() or place.any():
        made = replace(made, placed=hml.decode(features, layout, (heading, place)), turned=heading)
    return made


def edited_rotations(session: Session, request: Request, known: Tensor, kept: Tensor) -> Made:
    """Joint rotations [N, T, F] of which `kept` are the `known` ones; their translation says where they are."""
    return Made(_made_around(session, request, known, kept, lambda x: x), request.lengths, request.titles)


def _made_around(
    session: Session, request: Request, known: Tensor, kept: Tensor, land: Callable[[Tensor], Tensor]
) -> Tensor:
    """Features [N, T, F] in data units, as sampled around what is kept; `land` puts the others right at every step.

    With `--compat published` what is known is put back and no more.
    """
    there = session.to_model(known)
    put_back, fade = keyframes(there, kept), fading(kept.all(-1), request.lengths)

    def project(x0: Tensor, t: int) -> Tensor:
        smooth = put_back(eased(x0, there, fade), t)
        return put_back(session.to_model(land(session.to_data(smooth))), t)

    published = session.run.compat == "published"
    return torch.where(kept, known, sample_plain(session, request, project=put_back if published else project))
