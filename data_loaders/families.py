"""The table of families of motion: what a frame is made of, and who samples, writes, draws, edits and evaluates it.

Read without torch. A function is named as "module:function" and imported when it is used (`function`), so that a row
may name rooms above this one. A new family is a row here, the file of its representation (`representations`), and
datasets that name the row.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Family:
    """What all models of one kind of motion have in common.

    A frame of J joints is `per_joint` * J + `more` numbers; where `coordinates` are given it has the shape
    [J, coordinates], else it is one vector. `flat`: its models make what one camera sees, and several views of them
    become 3D motion (MAS); the others make 3D motion by themselves (MDM), of which `loss_skips` first numbers have no
    part in the published velocity error. `standardised`: Mean and Std are needed. `encoder_hides`: an encoder's padded
    frames are hidden from attention. `last_timestep` is where sampling ends. `default_action` is the label of a sample
    where none is named, and `titles` says whether a model that reads no text may be given some as titles.

    Named: `captions(spec, folder, part)` of a dataset; `source(motion, spec)`, a recorded motion as a model sees it;
    `clips`: whether the dataset's own motions are such; `edit(session, request, mas)`, the edited motions;
    `content(session, samples)`, the dict of results.npy; `copy(path, content)`, what is written of it beside it;
    `pictures`, how it is drawn; `evaluations` of milestones by `--cond` ("": any other); `compat`, what
    `--compat published` changes. `folder` is the name of results beside a checkpoint, `plain` the task of
    sample.generate in it, `next_command` what samples a trained model.
    """

    name: str
    per_joint: int
    more: int
    flat: bool
    coordinates: int = 0
    loss_skips: int = 0
    standardised: bool = True
    encoder_hides: bool = False
    last_timestep: int = 0
    default_action: str = "drawn"
    titles: bool = False
    captions: str = "data_loaders.text.folders:read_captions"
    source: str = ""
    clips: bool = True
    edit: str = ""
    content: str = "sample.common.contents:features_content"
    copy: str = "sample.common.contents:write_texts"
    pictures: str = "sample.common.pictures:WORLD"
    evaluations: Mapping[str, str] = field(default_factory=dict)
    compat: str = "sample.common.compat:MDM"
    folder: str = "{task}_{model}_{step}_seed{seed}"
    plain: str = "samples"
    next_command: str = "sample.generate"

    def features(self, joints: int) -> int:
        """Numbers a frame."""
        return self.per_joint * joints + self.more

    def frame_shape(self, joints: int) -> tuple[int, ...]:
        """The shape of a frame."""
        return (joints, self.coordinates) if self.coordinates else (self.features(joints),)

    def function(self, role: str) -> Any:
        """What the row names for a role, imported."""
        return function_at(getattr(self, role))


def function_at(place: str) -> Any:
    """What "module:name" names."""
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)


FAMILIES: dict[str, Family] = {
    row.name: row
    for row in (
        Family(
            "points2d",  # keypoints that one camera sees
            per_joint=2,
            more=0,
            flat=True,
            coordinates=2,
            encoder_hides=True,
            last_timestep=1,
            default_action="",
            titles=True,
            captions="data_loaders.points.projections:read_captions",
            source="sample.common.sources:points_of",
            clips=False,
            edit="sample.editing.editing:edited_points",
            content="sample.common.contents:points_content",
            copy="sample.common.contents:write_arrays",
            pictures="sample.common.pictures:VIEWS",
            evaluations={"": "eval.common.milestones:of_views"},
            compat="sample.common.compat:MAS",
            folder="{task}_seed_{seed}",
            plain="sample",
            next_command="sample.mas",
        ),
        Family(
            "hml",  # the features of HumanML3D and KIT-ML (Guo et al. 2022)
            per_joint=12,
            more=-1,
            flat=False,
            loss_skips=1,
            source="sample.common.sources:hml_of",
            edit="sample.editing.editing:edited_features",
            evaluations={"text": "eval.common.milestones:of_sentences"},
        ),
        Family(
            "rot6d",  # joint rotations (HumanAct12, UESTC)
            per_joint=6,
            more=6,
            flat=False,
            loss_skips=6,
            standardised=False,
            source="sample.common.sources:rotations_of",
            edit="sample.editing.editing:edited_rotations",
            evaluations={"action": "eval.common.milestones:of_actions", "no_cond": "eval.common.milestones:of_actions"},
        ),
    )
}
