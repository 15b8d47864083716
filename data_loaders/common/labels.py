"""Labels of motion as their sources spell them, and what each is called by those who use labels: one table.

Sentences are made for kinds of motion (`data_loaders.text.captions`), models of `mocap2d` are conditioned on actions
(`data_loaders.points.projections`), and a classifier tells kinds apart (`eval.recognition`). A label that has no row,
or nothing in a column, goes by its own name there.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """Names of a label: the kind that sentences are made for, the action of models, the kind that is recognised."""

    phrase: str = ""
    action: str = ""
    recognised: str = ""


# The more telling ones first: of several labels of a clip the first says what its sentences are about.
LABELS: dict[str, Label] = {
    "salsa": Label("salsa", recognised="dance"),
    "breakdance": Label("breakdance", action="dance"),
    "indian dance": Label("indian dance", action="dance"),
    "pirouette": Label("pirouette", action="dance"),
    "arabesque": Label("ballet", action="dance"),
    "dance-short": Label("dance"),
    "dance-long": Label("dance"),
    "soccer": Label("soccer", recognised="kick"),
    "stairs": Label("stairs", recognised="climb"),
    "kata": Label("kata", action="punch"),
    "block": Label("block", action="punch"),
    "sword": Label("sword", action="swing"),
    "slash": Label("sword", action="swing"),
    "dribble": Label("basketball", action="basketball"),
    "wash": Label("wash"),
    "bend": Label("bend"),
    "balance": Label("balance"),
    "exercise": Label("exercise"),
    "directing_traffic": Label("direct traffic", action="direct traffic"),
    "climb": Label("climb"),
    "acrobatics": Label("breakdance"),
    "reach": Label("jump-reach"),
    "jumping": Label("jump", action="jump"),
    "walking": Label("walk", action="walk"),
    "running": Label("run", action="run"),
    "jog": Label("run", action="run"),
    "wave": Label("wave-left-hand"),
    "raise arms": Label("raise-up-both-hands"),
    "swing": Label("climb"),
    "standing": Label("idle"),
    "stand": Label("idle"),
    "waving": Label("wave-left-hand"),
    "dancing": Label("dance"),
    "sitting": Label("sit"),
    "kicking": Label("kick"),
    "punching": Label("punch"),
    "boxing": Label("box"),
    "climbing": Label("climb"),
    "laughing": Label("laugh"),
    "drinking": Label("drink"),
    "bowing": Label("bow"),
    # A referee's signals are signs of the arms, not play.
    "basketball_signal": Label(action="basketball", recognised="direct traffic"),
}
PHRASES_OF = {name: label.phrase for name, label in LABELS.items() if label.phrase}


def action_of(label: str) -> str:
    """The action of models that a label counts as."""
    return LABELS.get(label, Label()).action or label


def recognised_as(label: str) -> str:
    """The kind of motion that a classifier should see where a clip has this label."""
    return LABELS.get(label, Label()).recognised or action_of(label)
