"""Body models: a mean body, and how its vertices and joints move with its shape.

A shape is v = template + shape_directions b and J = rest + joint_directions b, with one number b ("beta") an axis;
`shaped` gives the `Body` of one shape, which poses skin. The free body (`prepare.bake_body`) has named axes, SMPL's are
principal components; the joints and their order are those of `smpl24` in both. Metres, y up, T-pose, facing +z.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.formats import smpl_files
from utils.geometry.body import Body
from utils.geometry.skeleton import SKELETONS
from utils.run.arrays import load_archive
from utils.run.errors import DataError, MissingFileError, NumericError, UsageError
from utils.run.parser import nearest
from utils.run.project import ROOT

FREE_BODY = ROOT / "assets" / "body" / "free_body.npz"
SMPL_FOLDER = ROOT / "body_models" / "smpl"
SMPL_FILES = ("SMPL_NEUTRAL.npz", "SMPL_NEUTRAL.pkl")


@dataclass(frozen=True)
class BodyModel:
    """Template [V, 3], faces [F, 3], weights [V, K] and rest joints [K, 3] of the mean shape, and S axes of shape.

    `shape_directions` [V, 3, S] and `joint_directions` [K, 3, S] are metres per unit of each axis;
    `pose_directions` [V, 3, 9 (K - 1)], where there are any, are those of `Body`.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    template: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    rest: np.ndarray
    shape_directions: np.ndarray
    joint_directions: np.ndarray
    shape_names: tuple[str, ...]
    pose_directions: np.ndarray | None = None
    licence: str = ""

    def betas(self, betas: Sequence[float] | np.ndarray | Mapping[str, float] | None = None) -> np.ndarray:
        """All S numbers of a shape [S], float32, from the first few of them or from some of them by name; the rest 0.

        Raises UsageError for too many numbers or an unknown name, NumericError for NaN or infinity.
        """
        count = len(self.shape_names)
        if isinstance(betas, Mapping):
            for name in betas:
                if name not in self.shape_names:
                    hint = nearest(name, self.shape_names)
                    raise UsageError(f"{self.name} has no shape {name!r}{hint}; it has {', '.join(self.shape_names)}")
            betas = [betas.get(name, 0.0) for name in self.shape_names]
        given = np.zeros(0, np.float32) if betas is None else np.asarray(betas, np.float32).reshape(-1)
        if len(given) > count:
            raise UsageError(f"{len(given)} shape numbers were given; {self.name} has {count}")
        if not np.isfinite(given).all():
            raise NumericError(f"the shape numbers hold {given[~np.isfinite(given)][0]}; they must be finite")
        return np.pad(given, (0, count - len(given)))

    def shaped(self, betas: Sequence[float] | np.ndarray | Mapping[str, float] | None = None) -> Body:
        """The body of one shape, the mean by default; its errors are those of `betas`."""
        values = self.betas(betas)
        return Body(
            self.name,
            self.joints,
            self.parents,
            self.rest + self.joint_directions @ values,
            self.template + self.shape_directions @ values,
            self.faces,
            self.weights,
            self.pose_directions,
        )


def load_body(where: str = "") -> BodyModel:
    """The body that `where` names: `free`, `smpl` (in `body_models/`), or a SMPL file (.pkl, .npz).

    Nothing: SMPL where its neutral file lies in `body_models/smpl`, else the free body. Raises MissingFileError or
    DataError.
    """
    if where == "free" or (where == "" and not _neutral_smpl()):
        return _free_body()
    if where in ("", "smpl"):
        path = _neutral_smpl()
        if path is None:
            raise MissingFileError(_no_smpl())
        return _smpl(path)
    return _smpl(Path(where))


def _neutral_smpl() -> Path | None:
    """The neutral SMPL file that the user put into `body_models`, or nothing."""
    return next((SMPL_FOLDER / name for name in SMPL_FILES if (SMPL_FOLDER / name).is_file()), None)


def _no_smpl() -> str:
    """Why there is no neutral SMPL body, and what to do."""
    others = sorted(path for suffix in ("pkl", "npz") for path in SMPL_FOLDER.glob(f"SMPL_*.{suffix}"))
    if others:
        return (
            f"{SMPL_FOLDER} holds {others[0].name} but no {SMPL_FILES[1]}; name the file itself to use it: {others[0]}"
        )
    return f"{SMPL_FOLDER / SMPL_FILES[1]} is missing; body_models/README.md says how to get it, or take the free body"


def _free_body() -> BodyModel:
    if not FREE_BODY.is_file():
        raise MissingFileError(
            f"{FREE_BODY} is missing; it is part of the project, python -m prepare.bake_body makes it"
        )
    try:
        content = load_archive(FREE_BODY)
        template = content["v_template"]
        weights = np.zeros((len(template), len(content["J"])), np.float32)
        rows = content["weights_val"].astype(np.float32)
        np.add.at(weights, (np.arange(len(template))[:, None], content["weights_idx"]), rows)
        return BodyModel(
            "free",
            tuple(content["joint_names"].tolist()),
            tuple(content["parents"].tolist()),
            template,
            content["f"].astype(np.int32),
            weights / weights.sum(1, keepdims=True),
            content["J"],
            content["shapedirs"] * content["shapedirs_step"].astype(np.float32),
            content["Jdirs"],
            tuple(content["shape_names"].tolist()),
            licence=str(content["licence"]),
        )
    except (DataError, ValueError, KeyError) as error:
        raise DataError(
            f"{FREE_BODY} is not the free body: {error}; python -m prepare.bake_body makes it anew"
        ) from error


def _smpl(path: Path) -> BodyModel:
    arrays = smpl_files.read(path)
    skeleton = SKELETONS["smpl24"]
    return BodyModel(
        smpl_files.name_of(path),
        skeleton.joints,
        skeleton.parents,
        arrays.template,
        arrays.faces,
        arrays.weights,
        arrays.regressor @ arrays.template,
        arrays.shape_directions,
        np.einsum("kv,vcs->kcs", arrays.regressor, arrays.shape_directions).astype(np.float32),
        tuple(f"beta{axis}" for axis in range(arrays.shape_directions.shape[-1])),
        arrays.pose_directions,
        "SMPL, Max Planck Society: for non-commercial research, not to be passed on (smpl.is.tue.mpg.de)",
    )
