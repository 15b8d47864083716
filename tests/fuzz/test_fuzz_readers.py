"""Every reader under mutation: a small valid file changed hundreds of times ends in the project's own errors.

200 changes of each in the quick set, 2,000 under the mark `slow`: one printable line of at most 300 characters, no
hang, no gigabyte.
"""

import json
import pickle
import re
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from body.retarget import character as characters
from data_loaders.action import humanact12
from data_loaders.common import packed
from data_loaders.options import DataOptions
from data_loaders.points import keypoints
from data_loaders.registry import dataset_spec
from data_loaders.text import folders, humanml
from eval.reporting import content as report_content
from eval.reporting import page as report_page
from model.options import ModelOptions
from tests import rigs, skinned
from tests.acclaim import ASF
from tests.bodies import small_body, walking
from tests.eval.test_report import made as made_record
from tests.fuzz.test_fuzz_body_formats import arrays as arrays_in
from tests.fuzz.test_fuzz_formats import SMALL_AMC, SMALL_BVH, damaged
from tests.people import moving, record
from tests.toys import humanact12_folder
from tests.utils.test_gltf import two_people
from tests.utils.test_gltf_document import beside, swinging
from tests.utils.test_trc import ROWS
from tests.utils.test_trc import text as trc_text
from utils.formats import (
    asf_amc,
    bvh,
    csv,
    glb,
    gltf,
    hik,
    obj,
    reading,
    results,
    shards,
    smpl_files,
    smpl_motion,
    smpl_params,
    trc,
)
from utils.geometry.skeleton import SKELETONS
from utils.run import arrays, checkpoint
from utils.run.errors import PolykineError
from utils.run.options import read_saved
from visualize.page import html

SECONDS, MEGABYTES = 5.0, 500
HUMANML, NBA = dataset_spec("humanml"), dataset_spec("nba")
VALUES = (
    b"null", b"[]", b"{}", b'"x"', b"-1", b"0", b"1e308", b"true", b"99999999999999999999999", b"[[[[[[1]]]]]]", b"NaN",
    b'"\\ud800"', b"[" * 3000, b'"' + b"a" * 100_000 + b'"', b"\xff", b"/", b"../../x", b"\x00", b"",
)  # fmt: skip
LINES = "a man walks#a/DET man/NOUN walk/VERB#0.0#0.0\nruns#run/VERB#0.5#2.0\n"
_TOKEN = re.compile(rb'"[^"]*"|-?[\d.]+(?:e-?\d+)?|\w+|[\[{][^\[\]{}]*[\]}]')


class Reader(NamedTuple):
    """`write` makes what is valid in a folder, `read` reads it; the files of `changed` are changed in turn."""

    write: Callable[[Path], object]
    read: Callable[[Path], object]
    changed: tuple[str, ...]


def clip() -> Any:
    return walking(3, 30.0, small_body(), contacts=np.zeros((3, 24), bool))


def write_character(folder: Path) -> None:
    """A character as glTF, its bytes beside it."""
    rigs.write(folder / "mine.glb", rigs.STYLES["vrm"])
    document, binary = rigs.unpack(folder / "mine.glb")
    text_of(document | {"buffers": [{"byteLength": len(binary), "uri": "mine.bin"}]}, folder / "mine.gltf")
    (folder / "mine.bin").write_bytes(binary)


def write_mapped(folder: Path) -> None:
    write_character(folder)
    character = characters.open_character(folder / "mine.gltf")
    characters.write_map(folder / "map.json", character.rig, character.roles.joints)


def onto(path: Path, mapped: str | Path = "") -> np.ndarray:
    """Where the joints are in what is written of a motion on a character."""
    character = characters.open_character(path, mapped)
    posed, _ = characters.moved(clip(), character)
    character.file.write(path.with_name("out" + character.file.ending), posed, 30.0, "clip")
    return character.file.read(path.with_name("out" + character.file.ending))


def text_of(content: object, path: Path) -> None:
    path.write_text(json.dumps(content))


def figure() -> np.ndarray:
    """Positions [3, 22, 3] of bones that a person could have."""
    return np.random.RandomState(0).normal(0, 0.1, (3, 22, 3)).astype(np.float32)


def of_mas() -> dict[str, Any]:
    return {
        "motions": np.ones((2, 4, 3, 3), np.float32), "fps": 20.0, "joint_names": list("abc"), "parents": [-1, 0, 1],
        "model_kwargs": {"y": {"lengths": np.array([4, 2]), "text": ["a", "b"]}},
    }  # fmt: skip


def of_mdm() -> dict[str, Any]:
    return {
        "motion": np.ones((2, 3, 3, 4), np.float32), "text": ["a", "b"], "lengths": np.array([4, 2]), "num_samples": 2,
        "num_repetitions": 1, "fps": 20.0, "joint_names": list("abc"), "parents": [-1, 0, 1],
        "features": np.zeros((2, 4, 5), np.float32),
    }  # fmt: skip


def of_mas_plain() -> dict[str, Any]:
    return of_mas() | {"lengths": [4, 2], "model_kwargs": 0}


def shard() -> dict[str, Any]:
    meta = {"joints": ["a", "b"], "parents": [-1, 0], "fps": 30, "licence": "CC0", "credit": "x"}
    clips = [{"name": f"c{i}", "actions": ["walk"], "split": "train"} for i in (0, 1)]
    differences = np.ones((6, 7), np.int16)
    return {
        "start": np.array([0, 3, 7]), "pos_dd": differences, "pos_quantum": np.float32(0.001),
        "rot_dd": differences, "rot_quantum": np.float32(0.001),
        "meta": np.frombuffer(json.dumps(meta | {"clips": clips}).encode(), np.uint8),
    }  # fmt: skip


def write_packed(folder: Path) -> None:
    packed.write(folder / "p", [(moving(12, 0), record("a")), (moving(9, 1), record("b"))], 30.0, "nba", False)


def text_folder(folder: Path) -> None:
    for part in ("new_joint_vecs", "texts"):
        (folder / part).mkdir()
    np.save(folder / "Mean.npy", np.zeros(HUMANML.features, np.float32))
    np.save(folder / "Std.npy", np.ones(HUMANML.features, np.float32))
    for name in ("c0", "c1"):
        np.save(folder / "new_joint_vecs" / f"{name}.npy", np.ones((44, HUMANML.features), np.float32))
        (folder / "texts" / f"{name}.txt").write_text(LINES)
    (folder / "train.txt").write_text("c0\nc1\n")
    text_of({"fps": 20, "clips": {"c0": {"share": 0.5}, "c1": {"share": 0.5}}}, folder / "index.json")


def read_text_folder(folder: Path) -> object:
    folders.read_captions(HUMANML, folder, "train")
    data = humanml.load(HUMANML, DataOptions(dataset="humanml", datapath=str(folder)))
    return data.batch([0], lambda k: np.random.RandomState(1))["motion"].numpy()


def points_folder(folder: Path) -> None:
    (folder / "motions").mkdir()
    points = np.random.RandomState(0).uniform(1, 9, (70, len(NBA.skeleton.joints), 3)).astype(np.float32)
    for name in ("a", "b"):
        np.save(folder / "motions" / f"{name}.npy", points)
    text_of({"train": ["a"], "test": ["b"]}, folder / "split.json")


def read_points_folder(folder: Path) -> object:
    return keypoints.load(NBA, DataOptions(dataset="nba", datapath=str(folder)))


def run_folder(folder: Path) -> None:
    for step in (3, 5):
        checkpoint.save(folder, step, {"model": {"w": torch.ones(3)}, "step": step})
    text_of(
        {"dataset": "nba", "latent_dim": 16, "layers": 2, "arch": "dit", "unconstrained": True}, folder / "args.json"
    )


def read_run(folder: Path) -> object:
    groups = (DataOptions, ModelOptions)
    read_saved(folder / "checkpoint_5.pth", groups, {"dataset", "latent_dim", "layers", "arch"}, groups, dict)
    path = checkpoint.resolve(folder)
    return checkpoint.verify(path), checkpoint.weights(checkpoint.load(path))


def read_record(folder: Path) -> object:
    sections = report_content.load([folder / "record.json"])
    return report_page.write(folder / "page.html", sections, overwrite=True)


def smpl_arrays() -> dict[str, Any]:
    """What a SMPL file of four vertices holds."""
    return {
        "v_template": np.ones((4, 3)), "f": np.zeros((2, 3), np.uint32), "weights": np.ones((4, 24)),
        "J_regressor": np.ones((24, 4)), "shapedirs": np.ones((4, 3, 10)), "posedirs": np.ones((4, 3, 207)),
        "kintree_table": np.array([SKELETONS["smpl24"].parents, range(24)]),
    }  # fmt: skip


def write_obj(folder: Path) -> None:
    obj.write_sequence(folder / "a", clip())
    (folder / "a" / "frame000.obj").rename(folder / "frame000.obj")


def without_holes(path: Path) -> np.ndarray:
    """The positions in a TRC file; its empty cells are NaN by right."""
    positions = trc.read(path).positions
    return np.where(np.isnan(positions), 0, positions)


def one(name: str, write: Callable[[Path], object], read: Callable[[Path], object]) -> Reader:
    """A reader of one file of that name."""
    return Reader(lambda folder: write(folder / name), lambda folder: read(folder / name), (name,))


READERS: dict[str, Reader] = {
    "bvh": one("a.bvh", lambda path: path.write_bytes(SMALL_BVH), bvh.read),
    "acclaim": Reader(
        lambda f: ((f / "a.asf").write_bytes(ASF.encode()), (f / "a.amc").write_bytes(SMALL_AMC)),
        lambda f: asf_amc.read(f / "a.asf", f / "a.amc"), ("a.asf", "a.amc"),
    ),
    "glb": one("a.glb", lambda path: glb.write(path, [skinned.dance(skinned.body())]), glb.read),
    "glb of others": one("a.glb", lambda path: two_people(apart=True).save(path), gltf.read),
    "gltf": one("a.gltf", lambda path: beside(swinging(), path.parent, "a.bin", "data:"), gltf.read),
    "character": Reader(write_character, lambda f: onto(f / "mine.gltf"), ("mine.gltf", "mine.bin")),
    "character in BVH": one("mine.bvh", lambda path: bvh.write(path, clip()), onto),
    "map of a character": Reader(
        write_mapped, lambda f: onto(f / "mine.gltf", f / "map.json"), ("map.json",)
    ),
    "buffer of a gltf": Reader(
        lambda f: beside(swinging(), f, "a.bin"), lambda f: gltf.read(f / "a.gltf"), ("a.bin",)
    ),
    "trc": one("a.trc", lambda path: path.write_text(trc_text(ROWS)), without_holes),
    "csv": one("a.csv", lambda path: csv.write(path, clip()), csv.read),
    "obj": one("frame000.obj", lambda path: write_obj(path.parent), obj.read),
    "hik": one("a.json", lambda path: hik.write(path, [clip()]), hik.read),
    "page": one("a.html", lambda path: html.write_page(path, [clip()]), html.read),
    "smpl motion": one("a.npz", lambda path: smpl_motion.write(path, clip(), "smplx"), smpl_motion.read),
    "smpl parameters": one("a.npy", lambda path: smpl_params.write(path, clip()), smpl_params.read),
    "smpl file": one("a.pkl", lambda path: path.write_bytes(pickle.dumps(smpl_arrays(), 2)), smpl_files.read),
    "results of mas": one("a.npy", lambda path: results.write(path, of_mas()), reading.read_motion),
    "results of mdm": one("a.npy", lambda path: results.write(path, of_mdm()), reading.read_motion),
    "plain results": one("a.npz", lambda path: np.savez(path, **of_mas_plain()), reading.read_motion),
    "shard": one("a.npz", lambda path: np.savez(path, **shard()), reading.read_motion),
    "packed shard": one(
        "a.npz", lambda path: np.savez_compressed(path, **shard()), lambda path: list(shards.read(path))
    ),
    "positions": one(
        "a.npz", lambda path: np.savez(path, positions=figure(), fps=30.0),
        lambda path: list(reading.read_motion(path)),
    ),
    "array": one(
        "a.npy", lambda path: np.save(path, figure()),
        lambda path: list(reading.read_motion(path)),
    ),
    "packed folder": Reader(write_packed, lambda f: packed.read(f / "p"), ("p/index.json", "p/positions.npy")),
    "text folder": Reader(
        text_folder, read_text_folder,
        ("train.txt", "texts/c0.txt", "new_joint_vecs/c0.npy", "index.json", "Mean.npy", "Std.npy"),
    ),
    "points folder": Reader(points_folder, read_points_folder, ("motions/a.npy", "split.json")),
    "humanact12": Reader(
        lambda f: humanact12_folder(f, clips=3),
        lambda f: humanact12.load(dataset_spec("humanact12"), DataOptions(dataset="humanact12", datapath=str(f))),
        ("humanact12poses.pkl",),
    ),
    "evaluation record": Reader(made_record, read_record, ("record.json", "record_examples.npz")),
    "run": Reader(run_folder, read_run, ("manifest.json", "args.json", "checkpoint_5.pth")),
}  # fmt: skip


WITH_GAPS = {"trc"}  # what was not seen is NaN there


def assert_finite(found: object, case: str) -> None:
    """What a reader gave holds no NaN and no infinity."""
    for values in arrays_in(found):
        assert values.dtype.kind != "f" or np.isfinite(values).all(), f"{case}: NaN was read"


def names_of(folder: Path, file: str) -> tuple[str, ...]:
    """What an error may call a file that was changed: by its name, without its ending, or by its folder's."""
    path = folder / file
    return (path.name, path.stem, str(path.parent), str(folder))


def mutated(whole: bytes, chance: np.random.RandomState) -> bytes:
    """The file damaged as by a disk, or with one of its words replaced by another kind of value."""
    if chance.randint(2):
        return damaged(whole, chance)
    tokens = list(_TOKEN.finditer(whole[:200_000]))
    if not tokens:
        return damaged(whole, chance)
    token = tokens[chance.randint(len(tokens))]
    return whole[: token.start()] + VALUES[chance.randint(len(VALUES))] + whole[token.end() :]


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", READERS)
def test_a_reader(tmp_path: Path, name: str, count: int, capsys, tally):
    reader, refused = READERS[name], 0
    reader.write(tmp_path)
    assert reader.read(tmp_path) is not None
    valid = {each: (tmp_path / each).read_bytes() for each in reader.changed}
    chance, before = np.random.RandomState(count), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for case in range(count):
        each = reader.changed[case % len(reader.changed)]
        (tmp_path / each).write_bytes(mutated(valid[each], chance))
        begin = time.perf_counter()
        try:
            found = reader.read(tmp_path)
            if name not in WITH_GAPS:
                assert_finite(found, f"change {case} of {each}")
        except PolykineError as error:
            refused += 1
            assert 10 < len(str(error)) <= 300 and str(error).isprintable(), (case, each)
            assert any(name in str(error) for name in names_of(tmp_path, each)), f"{error} names no file"
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"change {case} of {each}: {type(error).__name__}: {str(error)[:300]}") from error
        assert time.perf_counter() - begin < SECONDS, (case, each)
        (tmp_path / each).write_bytes(valid[each])
    assert refused > count // 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1024 * MEGABYTES
    assert len(capsys.readouterr().err) < 200 * count
    tally("mutations", name, count, refused=refused)


STRANGE: tuple[Any, ...] = (
    None, [], {}, (), "x", "a" * 100_000, b"x", -1, 0, 1e308, float("nan"), True, 2**63, [[1], [2, 3]], [None],
    ["a", 1], {"a": 1}, np.array(3), np.zeros((0, 3)), np.array(["a"]), np.ones(3, complex), np.zeros((1,) * 9),
    np.array([np.inf]), np.array([True]), np.array(2**64 - 1, np.uint64), np.array([2**62, -(2**62)]),
    np.full((2, 4, 3, 3), 1e300), np.str_("x"),
)  # fmt: skip


def made(write: Callable[[Path], object], name: str) -> dict[str, Any]:
    """The content of the file of that name that `write` makes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        write(path)
        return dict(arrays.load_array(path).item() if path.suffix == ".npy" else arrays.load_archive(path))


CONTENTS: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[Path], object]]] = {
    "mas.npy": (of_mas, reading.read_motion),
    "mdm.npy": (of_mdm, reading.read_motion),
    "mas.npz": (of_mas_plain, reading.read_motion),
    "mdm.npz": (of_mdm, reading.read_motion),
    "shard.npz": (shard, reading.read_motion),
    "motion.npz": (
        lambda: made(lambda path: smpl_motion.write(path, clip(), "smplx"), "a.npz"), smpl_motion.read
    ),
    "parameters.npy": (lambda: made(lambda path: smpl_params.write(path, clip()), "a.npy"), smpl_params.read),
    "smpl.npz": (smpl_arrays, smpl_files.read),
    "smpl.pkl": (smpl_arrays, smpl_files.read),
}  # fmt: skip


def changed(value: Any, chance: np.random.RandomState) -> Any:
    """A dict or list with one of its parts, at any depth, taken out or replaced by another kind of value."""
    if chance.randint(3) == 0 or not isinstance(value, dict | list) or not value:
        return STRANGE[chance.randint(len(STRANGE))]
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key, copy = keys[chance.randint(len(keys))], value.copy()
    if chance.randint(6):
        copy[key] = changed(value[key], chance)
    else:
        del copy[key]
    return copy


def store(path: Path, content: Any) -> bool:
    """Write content in the way of a file's ending; False where such a file cannot hold it."""
    try:
        if path.suffix == ".npz":
            np.savez(path, **content)
        elif path.suffix == ".npy":
            np.save(path, np.array(content, dtype=object))
        else:
            path.write_bytes(pickle.dumps(content, 2))
    except (ValueError, TypeError, OverflowError):
        return False
    return True


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CONTENTS)
def test_other_content(tmp_path: Path, name: str, count: int, tally):
    """Files that are whole, with another kind of value in some place."""
    make, read = CONTENTS[name]
    content, path, refused = make(), tmp_path / name, 0
    store(path, content)
    assert read(path)
    chance = np.random.RandomState(count)
    for case in range(count):
        if not store(path, changed(content, chance)):
            continue
        begin = time.perf_counter()
        try:
            assert_finite(read(path), f"change {case}")
        except PolykineError as error:
            refused += 1
            assert 10 < len(str(error)) <= 300 and str(error).isprintable(), case
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"change {case}: {type(error).__name__}: {str(error)[:300]}") from error
        assert time.perf_counter() - begin < SECONDS, case
    assert refused > count // 8
    tally("mutations", f"{name}: other values", count, refused=refused)
