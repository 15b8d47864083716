"""Options: which source wins, what is refused with which word, and the frozen list of every command's flags."""

import importlib
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from pathlib import Path

import pytest

from sample.options import AblationLine, GenerateLine, SamplingLine, defaults_of_generate, parse_sampling_line
from tests.commands import TINY, run, toy, train, words
from utils.run.errors import DataError, MissingFileError, UsageError
from utils.run.options import RunOptions, build_parser, option, parse, parse_line

ROOT = Path(__file__).parents[2]
FLAGS = ROOT / "tests" / "cli" / "flags.txt"
COMMANDS = (
    "eval.eval_humanact12_uestc", "eval.eval_humanml", "eval.evaluate", "eval.obedience", "eval.prompts",
    "eval.quality", "eval.report", "eval.test_evaluator", "eval.train_evaluator", "eval.train_text_evaluator",
    "prepare.bake_body", "prepare.check", "prepare.humanml", "prepare.lengths", "prepare.mocap", "prepare.motion_stats",
    "prepare.poses", "prepare.round_trip", "prepare.ship", "prepare.toy_motion", "sample.ablations",
    "sample.dreamfusion", "sample.edit", "sample.generate", "sample.mas", "sample.poses", "sample.predict",
    "sample.stream", "train.train_mdm", "train.train_planner", "train.train_posendf",
    "visualize.convert_skeleton", "visualize.export", "visualize.render_mesh",
    "visualize.simplify_loc2rot",
    "visualize.view",
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """A group for these tests."""

    width: int = option(0, "how wide", min=0)
    kind: str = option("round", "which", ("round", "square"))
    sharp: bool = option(False, "or not")
    edges: tuple[str, ...] = option((), "which ones", ("left", "right", ""), many=True)
    share: float = option(0.5, "how much", max=1)
    title: str | None = option(None, "a name", aliases=("name",))
    model_path: str = option("", "a checkpoint")
    habit: str = option("ours", "-", ("ours", "theirs"), saved_default="theirs")


def defaults_of(values: Mapping[str, object]) -> Mapping[str, object]:
    return {"width": 2} if values["kind"] == "square" else {}


def parsed(*argv: str, **settings) -> Shape:
    """The group as a command would see it."""
    shape, _ = parse(
        "shape", "-", (Shape, RunOptions), argv, defaults_of=defaults_of, saved_from=("model_path",),
        saved_groups=(Shape,), never_saved=("model_path",), **settings,
    )  # fmt: skip
    return shape


def saved(folder: Path, content: object) -> str:
    """A folder with an args.json, as text."""
    (folder / "args.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return str(folder)


def config(folder: Path, content: object) -> str:
    path = folder / "config.json"
    path.write_text(json.dumps(content))
    return str(path)


SOURCES = ("field", "dataset", "saved", "config", "line")


@pytest.mark.parametrize(("low", "high"), list(itertools.combinations(SOURCES, 2)))
def test_the_higher_source_wins(low, high, tmp_path):
    active, argv = {low, high}, []
    if "dataset" in active:
        argv += ["--kind", "square"]
    if "saved" in active:
        argv += ["--model_path", saved(tmp_path, {"width": 3})]
    if "config" in active:
        argv += ["--config", config(tmp_path, {"width": 4})]
    if "line" in active:
        argv += ["--width", "5"]
    assert parsed(*argv).width == {"field": 0, "dataset": 2, "saved": 3, "config": 4, "line": 5}[high]


def test_a_preset_is_a_default_of_its_command(tmp_path):
    presets, square = {"width": 6}, ["--kind", "square"]
    assert parsed(presets=presets).width == 6
    assert parsed(*square, presets=presets).width == 6, "it wins over the dataset's default"
    assert parsed("--model_path", saved(tmp_path, {"width": 3}), presets=presets).width == 3
    assert parsed("--config", config(tmp_path, {"width": 4}), presets=presets).width == 4
    assert parsed("--width", "5", presets=presets).width == 5


def test_a_whole_line_is_one_object():
    @dataclass(frozen=True)
    class Line:
        shape: Shape
        run: RunOptions

    line = parse_line(Line, "shape", "-", ["--width", "3", "--seed", "7"])
    assert line == Line(Shape(width=3), RunOptions(seed=7))


def test_the_dataset_may_come_from_the_file(tmp_path):
    folder = saved(tmp_path, {"kind": "square"})
    assert parsed("--model_path", folder).width == 2
    assert parsed("--model_path", folder, "--kind", "round").width == 0


def test_what_a_file_does_not_name_is_as_published(tmp_path):
    assert parsed().habit == "ours"
    assert parsed("--model_path", saved(tmp_path, {})).habit == "theirs"
    assert parsed("--model_path", str(tmp_path), "--habit", "ours").habit == "ours"
    assert parsed("--model_path", saved(tmp_path, {"habit": "ours"})).habit == "ours"


def test_names_that_are_not_ours_are_listed_once(tmp_path, capsys):
    folder = saved(tmp_path, {"width": 3, "zebra": 1, "ant": [2], "seed": 4})
    assert parsed("--model_path", folder, known=(RunOptions,)).width == 3
    assert capsys.readouterr().err == f"note: {tmp_path / 'args.json'} names options that are not ours: ant, zebra\n"


def test_booleans():
    assert parsed("--sharp").sharp is True
    assert parsed("--sharp", "True").sharp is True
    assert parsed("--sharp", "False").sharp is False
    assert parsed("--sharp", "--width", "1").sharp is True
    with pytest.raises(UsageError, match="'maybe' is neither True nor False"):
        parsed("--sharp", "maybe")


def test_several_words_and_none():
    assert parsed("--edges", "left", "right").edges == ("left", "right")
    assert parsed("--edges", "").edges == ("",) and parsed("--edges").edges == ()
    with pytest.raises(UsageError, match="'lefty'; did you mean left.*choose from left, right"):
        parsed("--edges", "left", "lefty")


def test_a_field_of_a_type_that_no_line_gives_is_found_at_once():
    """Its flag would refuse every word, and nobody would know before it is used."""
    group = make_dataclass("Wrong", [("data", Path, option(Path("a"), "a folder"))])
    with pytest.raises(TypeError, match=r"the field data is .*Path.*; flags are of str, int, float, bool"):
        parse("wrong", "-", (group,), [])


@pytest.mark.parametrize("module", ["body_fit", "body_fit_quality"])
def test_the_fit_is_measured_on_whatever_folder(module, tmp_path):
    with pytest.raises(MissingFileError, match=str(tmp_path)):
        importlib.import_module(f"tests.benchmarks.{module}").main(["--data", str(tmp_path)])


def test_a_first_word_without_a_flag():
    assert parsed("walk", "--width", "1", first_word="title").title == "walk"
    assert parsed("--title", "run", first_word="title").title == "run"
    with pytest.raises(UsageError, match="unknown argument run"):
        parsed("walk", "run", first_word="title")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("--widht 3", r"unknown argument --widht; did you mean width\? \(see python -m shape -h\)"),
        ("--wid 3", "unknown argument --wid"),
        ("stray", "unknown argument stray"),
        ("--width wide", "--width: invalid int value: 'wide'"),
        ("--width -1", "-1 is less than 0"),
        ("--share 1.5", "1.5 is more than 1"),
        ("--share nan", "nan is not a finite number"),
        ("--share inf", "inf is not a finite number"),
        ("--kind oval", "invalid choice: 'oval'"),
        ("--width", "expected one argument"),
    ],
)
def test_a_bad_line(argv, said):
    with pytest.raises(UsageError, match=said):
        parsed(*argv.split())


BAD_VALUES = {
    "width": [2.5, "3", True, None, [1], -1],
    "kind": ["oval", 3, None, True],
    "sharp": [1, "True", None],
    "edges": [["lefty"], [3], "lefty", None],
    "share": ["0.5", 2, None, float("inf"), True],
    "title": [[1]],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_VALUES.items() for value in values])
def test_a_bad_value_in_a_file(name, value, tmp_path):
    with pytest.raises(DataError, match=rf"args\.json: {name} (is|holds) "):
        parsed("--model_path", saved(tmp_path, {name: value}))
    with pytest.raises(UsageError, match=rf"config\.json: {name} (is|holds) "):
        parsed("--config", config(tmp_path, {name: value}))


GOOD_VALUES = {"width": 3, "share": 1, "title": None, "edges": ["left", ""], "sharp": True, "kind": "square"}


def test_good_values_in_a_file(tmp_path):
    for shape in (
        parsed("--model_path", saved(tmp_path, GOOD_VALUES)),
        parsed("--config", config(tmp_path, GOOD_VALUES)),
    ):
        assert (shape.width, shape.share, shape.title, shape.edges, shape.sharp) == (3, 1.0, None, ("left", ""), True)
        assert isinstance(shape.share, float)
    assert parsed("--config", config(tmp_path, {"edges": "left", "name": "x"})) == Shape(edges=("left",), title="x")


def test_a_config_that_is_none(tmp_path):
    with pytest.raises(UsageError, match="unknown option widht; did you mean width"):
        parsed("--config", config(tmp_path, {"widht": 3}))
    with pytest.raises(DataError, match="must hold flags by name"):
        parsed("--config", config(tmp_path, [1, 2]))
    with pytest.raises(MissingFileError, match="nothing.json does not exist"):
        parsed("--config", str(tmp_path / "nothing.json"))


def test_a_file_beside_the_checkpoint_that_is_none(tmp_path):
    with pytest.raises(MissingFileError, match="checkpoint .* does not exist"):
        parsed("--model_path", str(tmp_path / "nothing.pth"))
    with pytest.raises(MissingFileError, match=r"args\.json is missing"):
        parsed("--model_path", str(tmp_path))
    for text, said in (("{", "not valid JSON"), ("[1]", "holds no options"), ("\xff", "not valid JSON")):
        (tmp_path / "args.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(DataError, match=said):
            parsed("--model_path", str(tmp_path))


@pytest.fixture
def published(golden):
    return golden / "mas" / "cli" / "horse" / "checkpoint_20.pth"


def groups(*parts: object) -> list:
    """Run, sampling, data, model, diffusion, MAS and ablation options of a sampling command's line."""
    return list(vars(parse_sampling_line(AblationLine, "sample.ablations", "-", words(*parts))).values())


def test_sampling_takes_what_describes_the_model_from_its_file(published):
    run_, sampling, data, model, diffusion, mas, _ = groups("--model_path", published)
    assert (data.dataset, data.datapath, data.data_augmentations) == ("horse", "./dataset/horse", ("length_aug",))
    assert (model.layers, model.latent_dim, model.recurrence, model.mask_frames) == (2, 8, "batch", False)
    assert diffusion.diffusion_steps == 20
    assert (run_.seed, sampling.num_samples, mas.num_views, mas.fit, mas.bones) == (0, 10, 7, "closed_form", "rigid")


def test_sampling_flags_win_over_the_file(published):
    _, _, data, model, diffusion, _, ablation = groups(
        "--model", published, "--dataset gymnastics --layers 3 --sigma_small False --ablation_name mas",
    )  # fmt: skip
    assert (data.dataset, data.datapath, model.layers, diffusion.sigma_small) == (
        "gymnastics", "./dataset/gymnastics", 3, False,
    )  # fmt: skip
    assert ablation.ablation_name == "mas"


def test_the_published_preset_is_a_default(published):
    mas = groups("--compat published --model_path", published)[5]
    assert (mas.fit, mas.bones) == ("adam", "raw")
    assert groups("--compat published --fit closed_form --model_path", published)[5].fit == "closed_form"


def test_published_spellings(published):
    for line, expected in (("--emb_trans_dec", True), ("--emb_trans_dec False", False), ("--emb_trans_dec True", True)):
        assert groups("--model_path", published, line)[3].emb_trans_dec is expected
    _, sampling, data, *_ = groups(
        "--model", published, "--batch_size 5 --overwrite --use_data --data_augmentations", "length_aug shift_aug"
    )
    assert sampling.max_batch == 5 and sampling.overwrite and sampling.use_data
    assert data.data_augmentations == ("length_aug", "shift_aug")
    line = ["--model_path", str(published), "--data_augmentations", ""]
    assert parse_sampling_line(SamplingLine, "sample.mas", "-", line).data.data_augmentations == ("",)


def test_dead_names_of_a_published_file_mean_nothing(published, tmp_path, capsys):
    args = json.loads((published.parent / "args.json").read_text())
    args |= {"batch_size": 3, "num_samples": 99, "seed": 7, "overwrite": True, "device": 0, "num_views": 2, "lr": 0.1}
    (tmp_path / "checkpoint_20.pth").write_bytes(b"")
    saved(tmp_path, args)
    run_, sampling, _, _, _, mas, _ = groups("--model_path", tmp_path / "checkpoint_20.pth")
    assert (run_.seed, sampling.num_samples, sampling.max_batch, sampling.overwrite, mas.num_views) == (
        0, 10, 0, False, 7,
    )  # fmt: skip
    assert capsys.readouterr().err == ""


def test_training_writes_what_it_heard_and_resuming_reads_it(tmp_path):
    data = toy(tmp_path / "data")
    settings = config(tmp_path, {"num_steps": 2, "lr": 0.5, "batch_size": 4})
    run(
        "train.train_mdm", TINY, "--lr 0.25 --data_augmentations scale_aug shift_aug --datapath", data,
        "--save_dir", tmp_path / "run", "--config", settings,
    )  # fmt: skip
    args = json.loads((tmp_path / "run" / "args.json").read_text())
    assert (args["num_steps"], args["lr"], args["train_batch_size"]) == (2, 0.25, 2), "the line wins over the config"
    assert args["data_augmentations"] == ["scale_aug", "shift_aug"]
    run("train.train_mdm", "--resume_checkpoint", tmp_path / "run", "--num_steps 3")
    resumed = json.loads((tmp_path / "run" / "args.json").read_text())
    changed = {name for name in args if args[name] != resumed[name]}
    assert changed == {"num_steps", "resume_checkpoint", "config"}
    train(tmp_path / "run", data, "--overwrite")
    assert not (tmp_path / "run" / "checkpoint_2.pth").exists(), "--overwrite means --overwrite_model here"


def flags_of(command: str) -> list[str]:
    """`<command> <flag and aliases> {choices} (<default>)`, one line a flag, from the command's parser."""

    class Seen(Exception):
        pass

    def build(*inputs):
        raise Seen(build_parser(*inputs))

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Seen) as seen:
        patch.setattr("utils.run.options.build_parser", build)
        importlib.import_module(command).main(["-"] if command == "prepare.check" else [])
    lines = []
    for action in seen.value.args[0]._actions[1:]:
        default = re.search(r"\(default: [^()]*\)$", action.help)
        parts = [
            command,
            ", ".join(action.option_strings),
            ",".join(action.choices or ([action.metavar] if action.nargs == "*" else [])),
            default[0] if default else "",
        ]
        lines.append(" ".join(filter(None, parts)))
    return lines


def test_flags_change_only_on_purpose():
    """Flags are a promise. After a change that is meant: rm tests/cli/flags.txt, run this test, and read the diff."""
    lines = [line for command in COMMANDS for line in flags_of(command)]
    if not FLAGS.exists():
        FLAGS.write_text("\n".join(lines) + "\n")
        pytest.fail(f"{FLAGS} was written anew: read its diff and run the test again")
    frozen = FLAGS.read_text().splitlines()
    assert [line for line in frozen if line not in lines] == [], "gone or changed"
    assert [line for line in lines if line not in frozen] == [], "new"


@pytest.fixture
def acting(tmp_path):
    """A model of actions, as far as its options say."""
    (tmp_path / "model.pt").write_bytes(b"")
    saved(tmp_path, {"dataset": "humanact12", "cond": "action"})
    return tmp_path / "model.pt"


@pytest.mark.parametrize(
    ("flags", "count"),
    [("", 6), ("--action_name drink", 1), ("--action_name drawn", 6), ("--action_name drink --num_samples 4", 4)],
)
def test_an_action_that_is_named_is_sampled_once_as_published(acting, flags, count):
    line = words("--model_path", acting, flags)
    parsed = parse_sampling_line(GenerateLine, "sample.generate", "-", line, defaults=defaults_of_generate)
    assert (parsed.sampling.num_samples, parsed.sampling.num_repetitions) == (count, 3)


def test_the_first_name_of_the_snr_scale_is_understood(published):
    for flag in ("--evidence", "--snr_scale"):
        assert groups("--model_path", published, f"{flag} 1.3")[5].snr_scale == 1.3
