"""Editing: of a motion something is known, the rest is sampled anew (MDM, Tevet et al. 2023, section 4.2).

What is known: frames, joints, or both. Where a frame is known all its joints are, and where a joint is not among those
sampled anew it is known in every frame. What is known is put back into every estimate of x_0, and what is known after a
gap is where it was in the world (`end_constraint`). 3D motion of a 2D model is edited inside MAS, in the 3D motion
behind all views.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from data_loaders.representations import hml, joint_features
from diffusion.projectors import keyframes
from model.denoisers.conditions import HIDDEN
from sample.common.plain import sample_plain
from sample.common.request import choose_actions
from sample.common.results import beside
from sample.common.samples import Samples, samples_of
from sample.common.session import Request, Session
from sample.common.sources import Source
from sample.editing.end_constraint import eased, end_constraint_of, fading
from sample.multiview.sampling import sample_3d
from sample.options import EditLine, EditOptions, MasOptions, SamplingOptions
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


def check(line: EditLine) -> None:
    """Refuse what cannot be obeyed, before anything is loaded. Raises UsageError."""
    sampling, edit = line.sampling, line.edit
    for flag, instead in _INSTEAD.items():
        if getattr(sampling, flag):
            raise UsageError(f"--{flag} does not go with editing: see --{instead}")
    if edit.text_condition and line.data.cond != "text":
        raise UsageError(f"--text_condition: {sampling.model_path} reads no text")
    if line.model.context_len:
        raise UsageError(f"{sampling.model_path} only continues motion, see --prefix_motion of sample.generate")
    sampled_joints(edit, line.spec.skeleton)


def folder_of(sampling: SamplingOptions, seed: int, edit: EditOptions) -> Path:
    """The folder that an edit writes if none is named, beside the checkpoint."""
    name = f"edit_{{model}}_{{step}}_{mode_of(edit)}_seed{seed}"
    return beside(sampling.model_path, name, edit.text_condition)


def mode_of(edit: EditOptions) -> str:
    """What kind of edit is requested."""
    said = (edit.edit_mode, "keyframes" if edit.keyframes else "", "joints" if edit.joints else "")
    return "_".join(filter(None, said)) or "in_between"


def known_frames(edit: EditOptions, frames: int) -> Tensor:
    """The frames [frames] of a motion that are known whole, bool. Raises UsageError for one that is not there."""
    known = torch.zeros(frames, dtype=torch.bool)
    if mode_of(edit).startswith("in_between"):
        known[: int(edit.prefix_end * frames)] = True
        known[int(edit.suffix_start * frames) :] = True
    for part in edit.keyframes.split(",") if edit.keyframes else ():
        known[_span(part.strip(), frames)] = True
    return known


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


def sampled_joints(edit: EditOptions, skeleton: Skeleton) -> Tensor:
    """The joints [J] that are sampled anew where the frame is not known, bool. Raises UsageError for an unknown one."""
    if not edit.joints and edit.edit_mode != "upper_body":
        return torch.ones(len(skeleton.joints), dtype=torch.bool)
    for name in edit.joints:
        if name not in skeleton.joints:
            known = f"{nearest(name, skeleton.joints)}; its joints are {' '.join(skeleton.joints)}"
            raise UsageError(f"--joints: {skeleton.name} has no joint {name!r}{known}")
    sampled = set(edit.joints)
    if edit.edit_mode == "upper_body":
        if skeleton.name not in _LOWER_BODY:
            raise UsageError(f"--edit_mode upper_body: {skeleton.name} has no upper body; name joints with --joints")
        sampled |= set(skeleton.joints) - set(_LOWER_BODY[skeleton.name].split())
    return torch.tensor([name in sampled for name in skeleton.joints])


def edit_request(session: Session, edit: EditOptions, sources: Sequence[Source]) -> Request:
    """What to sample: every repetition of each source, with what is known of it.

    `inputs` are `motion` [N, T, F] or [N, T, J, 3], `joints` [N, T, J] true at joints that are known, and `known`
    [N, T, F] or [N, T, J] at the numbers of a frame that are. Raises UsageError where nothing is known or nothing is
    sampled anew.
    """
    spec = session.spec
    anew = sampled_joints(edit, spec.skeleton)
    rows = list(sources) * session.sampling.num_repetitions
    frames = [known_frames(edit, len(source.frames)) for source in rows]
    for source, known in zip(rows, frames, strict=True):
        what = f"{mode_of(edit)}: of {source.title!r}, {len(known)} frames,"
        if known.all():
            raise UsageError(f"{what} all is kept; there is nothing to make anew")
        if not known.any() and anew.all():
            raise UsageError(f"{what} nothing is kept; sample.generate makes motion from nothing")
    lengths = torch.tensor([len(known) for known in frames])
    valid = (torch.arange(int(lengths.max())) < lengths[:, None])[..., None]
    whole = pad_sequence(frames, batch_first=True)[..., None]
    inputs = {
        "motion": pad_sequence([source.frames for source in rows], batch_first=True),
        "joints": (whole | ~anew) & valid,
        "known": (whole | joint_features(spec.representation, spec.skeleton, ~anew)) & valid,
    }
    condition, titles = _condition(session, edit, rows)
    return Request(lengths, condition, titles, inputs)


def _condition(session: Session, edit: EditOptions, rows: Sequence[Source]) -> tuple[dict[str, Tensor], list[str]]:
    """The condition of each row, and the titles. Raises UsageError where the model needs one that is not there."""
    without = session.model_options.cond_mask_prob == 0
    if session.data.cond == "text":
        if edit.text_condition and session.encode:
            titles = [edit.text_condition] * len(rows)
            return session.told(titles, [len(source.frames) for source in rows]), titles
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


def edited(session: Session, request: Request, mas: MasOptions, sources: Sequence[Source]) -> Samples:
    """The motions of a request; what is known of the sources is as it was: features to the bit, joints in the world."""
    samples = session.spec.family.function("edit")(session, request, mas)
    inputs = tuple((session.joints(source.frames), source.title) for source in sources)
    return replace(samples, known=(request.inputs or {})["joints"], inputs=inputs, data=None)


def edited_points(session: Session, request: Request, mas: MasOptions) -> Samples:
    """3D motion of MAS [N, T, J, 3] with the joints that are known."""
    inputs = request.inputs or {}
    return samples_of(request, sample_3d(session, request, mas, known=(inputs["motion"], inputs["known"])))


def edited_features(session: Session, request: Request, _: MasOptions) -> Samples:
    """Features of HumanML3D [N, T, F] with those that are known, in data units; the gaps end in the world where they
    must."""
    layout, inputs = hml.layout_of(session.spec.skeleton), request.inputs or {}
    constraint = end_constraint_of(inputs["motion"], inputs["known"][..., :4].all(-1), layout)
    features = _sampled_around(session, request, constraint)
    heading, place = constraint.start(features)
    samples = samples_of(request, features)
    if heading.any() or place.any():
        samples = replace(samples, placed=hml.decode(features, layout, (heading, place)), rotated=heading)
    return samples


def edited_rotations(session: Session, request: Request, _: MasOptions) -> Samples:
    """Joint rotations [N, T, F] with those that are known; their translation says where they are."""
    return samples_of(request, _sampled_around(session, request, lambda x: x))


def _sampled_around(session: Session, request: Request, constrain: Callable[[Tensor], Tensor]) -> Tensor:
    """Features [N, T, F] in data units, as sampled around what is known; `constrain` puts the others right at every
    step.

    With `--compat published` what is known is put back and no more.
    """
    inputs = request.inputs or {}
    motion, known = inputs["motion"], inputs["known"]
    there = session.to_model(motion)
    put_back, fade = keyframes(there, known), fading(known.all(-1), request.lengths)

    def project(x0: Tensor, t: int) -> Tensor:
        smooth = put_back(eased(x0, there, fade), t)
        return put_back(session.to_model(constrain(session.to_data(smooth))), t)

    sampled = sample_plain(session, request, project=project if session.compat.eases_edits else put_back)
    return torch.where(known, motion, sampled)
