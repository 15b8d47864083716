"""The page of an evaluation: its figures and ranks, where its dots are, and the whole command, on made-up records."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from eval.reporting import content as report_content
from eval.reporting import interval_plot, record
from eval.reporting import page as report_page
from eval.reporting.interval_plot import Panel, Row, Scale
from tests.commands import listing, refusal, run
from utils.geometry.skeleton import SKELETONS
from utils.run.errors import NumericError, UsageError
from utils.run.files import read_json, write_json
from utils.run.folders import RECORD

BETTER = {"fid": "lower", "recall": "higher", "diversity": "closer"}
VALUES = {
    "train_data": {"fid": [0.01, 0.01], "recall": [0.99, 0.99], "diversity": [8.9, 9.1]},
    "test_data": {"fid": [0.0, 0.0], "recall": [1.0, 1.0], "diversity": [9.0, 9.0]},
    "mas": {"fid": [5.0, 6.0], "recall": [0.5, 0.5], "diversity": [9.5, 9.7]},
    "no_3d_noise": {"fid": [5.5, 6.5], "recall": [0.4, 0.4], "diversity": [8.0, 8.2]},
    "dreamfusion": {"fid": [40.0, 42.0], "recall": [0.1, 0.1], "diversity": [4.0, 4.0]},
}
HOSTILE = '<b onclick="x">|*&\'`_'


def motion(skeleton: str, width: int, frames: int = 12) -> np.ndarray:
    """A figure that sways: joints above each other [T, J, 2 or 3]."""
    joints = len(SKELETONS[skeleton].joints)
    points = np.zeros((frames, joints, width), np.float32)
    points[..., 1] = np.linspace(-1, 1, joints)
    points[..., 0] = np.sin(np.arange(frames))[:, None] * np.linspace(0, 1, joints)
    return points


def made(
    folder: Path, name: str = "record", kind: str = "mas", skeleton: str = "nba", values=None, width: int = 2,
    examples: bool = True, sha256: str = "ab" * 32, **changes,
) -> Path:  # fmt: skip
    """A record on disk, with two examples of each sort of its last subject."""
    values = VALUES if values is None else values
    metrics = list(dict.fromkeys(metric for row in values.values() for metric in row))
    subject, motions, described = list(values)[-1], {}, {}
    for group, distance in (("best", 0.5), ("median", 1.25), ("worst", 9.75)) if examples else ():
        keys = [f"{subject}/{group}/{k}" for k in range(2)]
        motions |= {key: motion(skeleton, width) for key in keys}
        described[group] = [{"motion": key, "distance": distance, "title": f"title {HOSTILE}"} for key in keys]
    content = {
        "kind": kind, "dataset": "toy", "truth": "2d", "angle_mode": "uniform", "metrics": metrics,
        "subjects": record.summary(values), "reference": "test_data", "better": BETTER,
        "evaluator": {"name": "toy evaluator", "path": "save/evaluator/toy", "sha256": sha256},
        "settings": {"eval_num_samples": 64, "subjects": list(values), "note": HOSTILE},
        "provenance": {"command": f"python -m eval.evaluate --model_path {HOSTILE}", "seed": 7, "when": "2026-01-02"},
        "seconds": 200.0, "fps": 20.0, "skeleton": skeleton, "examples": {subject: described} if examples else {},
    }  # fmt: skip
    record.write(folder / name, content | changes, "", motions)
    return folder / f"{name}.json"


def section(folder: Path, **arguments) -> report_content.Section:
    return report_content.load([made(folder, **arguments)])[0]


class Outline(HTMLParser):
    """Every element by its name and attributes; what is opened is closed in order."""

    VOID = {"meta", "img"}

    def __init__(self, text: str):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def places(shown: report_content.Section, metric: str) -> dict[str, str]:
    return {subject: figure.place for subject, figure in shown.metrics[metric].items() if figure.place}


def test_the_best_of_each_metric_and_who_is_level_with_it(tmp_path):
    shown = section(tmp_path)
    assert shown.subjects == list(VALUES) == list(shown.metrics["fid"])
    assert places(shown, "fid") == {"mas": "best", "no_3d_noise": "level"}
    assert places(shown, "recall") == {"mas": "best"}
    assert places(shown, "diversity") == {"mas": "best"}  # 0.6 from the reference, which is 9; the other is 0.9 away
    assert shown.direction("diversity") == "closer to test_data is better" and shown.target("diversity") == 9
    assert shown.direction("fid") == "lower is better" and shown.target("fid") is None


def test_nobody_is_best_without_a_rival_or_a_direction(tmp_path):
    alone = section(tmp_path, values={"test_data": VALUES["test_data"], "mas": VALUES["mas"]})
    assert not any(places(alone, metric) for metric in alone.metrics)
    aimless = section(tmp_path, better={})
    assert not any(places(aimless, metric) for metric in aimless.metrics)
    lost = section(tmp_path, values={name: VALUES[name] for name in ("mas", "dreamfusion")})
    assert not places(lost, "diversity") and places(lost, "fid") == {"mas": "best"}


def test_figures_have_the_decimals_that_their_intervals_deserve(tmp_path):
    values = {"a": {"m": [5.0, 5.4]}, "b": {"m": [-12.34, -12.9]}, "c": {"m": [0.0021, 0.0021]}}
    texts = {name: figure.text for name, figure in section(tmp_path, values=values).metrics["m"].items()}
    assert texts == {"a": "5.2 ± 0.3", "b": "−12.6 ± 0.4", "c": "0.0021"}
    alone = section(tmp_path, values={"a": {"m": [5.1234]}, "b": {"m": [123.456]}})
    assert [figure.text for figure in alone.metrics["m"].values()] == ["5.1", "123.5"]


def test_facts_and_the_command_that_makes_it_again(tmp_path):
    shown = section(tmp_path)
    facts = dict(report_content.facts(shown))
    assert facts["Seed"] == "7" and facts["When"] == "2026-01-02" and facts["Took"] == "3 min 20 s"
    assert facts["Evaluator"] == "toy evaluator, save/evaluator/toy, SHA-256 abababababab"
    assert facts["Samples"].startswith("64 ") and facts["Iterations"] == "2"
    assert report_content.command(shown) == f"python -m eval.evaluate --model_path {HOSTILE}"
    assert dict(report_content.settings(shown))["evaluator sha256"] == "ab" * 32
    assert [report_content.duration(seconds) for seconds in (3.14, 59.7, 61, 7300)] == [
        "3.1 s", "1 min 0 s", "1 min 1 s", "2 h 1 min",
    ]  # fmt: skip


def test_scales_put_values_where_they_are():
    even = Scale(0.0, 10.0, 100.0, 300.0)
    assert (even.x(0), even.x(2.5), even.x(10)) == (100, 150, 300)
    assert even.ticks() == [0, 2, 4, 6, 8, 10]
    by_ratio = Scale(0.1, 1000.0, 0.0, 400.0, log=True)
    assert by_ratio.x(1) == pytest.approx(100) and by_ratio.x(100) == pytest.approx(300)
    assert by_ratio.ticks() == pytest.approx([0.1, 1, 10, 100, 1000])


@pytest.mark.parametrize(
    "values, log, low, high",
    [((2.0, 4.0), False, 1.9, 4.1), ((0.0, 1.0), False, 0.0, 1.05), ((3.0, 3.0), False, 2.85, 3.15),
     ((0.0, 0.0), False, 0.0, 1.0), ((1.0, 100.0), True, 100**-0.05, 100**1.05), ((-1.0, 1.0), False, -1.1, 1.1)],
)  # fmt: skip
def test_axes_hold_all_values_with_some_air(values, log, low, high):
    panel = Panel("m", "", tuple(Row("a", value, 0.0, (value,), "") for value in values))
    scale = interval_plot.scale_of(panel, 0, 1)
    assert (scale.log, scale.low, scale.high) == (log, pytest.approx(low), pytest.approx(high))


def test_axes_hold_intervals_and_the_value_to_come_close_to():
    rows = (Row("a", 4.0, 3.0, (4.0,), ""), Row("b", 6.0, 1.0, (5.5, 6.5), ""))
    wide = interval_plot.scale_of(Panel("m", "", rows, target=11.0), 0, 1)
    assert (wide.low, wide.high) == (0.5, 11.5)


def test_dots_and_whiskers_stand_at_their_values():
    rows = (Row("mas", 4.0, 1.0, (2.0, 6.0), "4 ± 1", "best"), Row("flat <", 0.0, 0.0, (0.0,), "0"))
    panel = Panel("fid", "lower is better", rows, target=3.0)
    names = interval_plot.names_width([panel])
    assert names == 90 and interval_plot.names_width([Panel("m", "", (Row("n" * 20, 0, 0, (), ""),))]) == 14 + 7.2 * 20
    svg = ElementTree.fromstring(interval_plot.panel_svg(panel, names, "one"))
    scale = Scale(0.0, 6.3, names, names + interval_plot.FIELD)
    best, other = (group for group in svg if group.tag == "g")
    circles = best.findall("circle")
    assert [float(circle.attrib["cx"]) for circle in circles] == pytest.approx(
        [scale.x(v) for v in (4, 2, 6)], abs=0.05
    )
    assert [circle.attrib["class"] for circle in circles] == ["mean", "each", "each"]
    whisker = re.fullmatch(r"M([\d.]+) [\d.]+v8m0-4H([\d.]+)m0-4v8", best.find("path").attrib["d"])
    assert [float(end) for end in whisker.groups()] == pytest.approx([scale.x(3), scale.x(5)], abs=0.05)
    assert [float(c.attrib["cy"]) for c in (circles[0], other.find("circle"))] == [49, 49 + interval_plot.ROW]
    assert other.find("path") is None and len(other.findall("circle")) == 1
    assert best.find("title").text == "mas: 4 ± 1" and other.find("text").text == "flat <"
    target = next(line for line in svg.findall("line") if line.attrib.get("class") == "target")
    assert float(target.attrib["x1"]) == pytest.approx(scale.x(3), abs=0.05)
    assert svg.find("title").text == "fid: mas 4 ± 1; flat < 0" and svg.attrib["aria-labelledby"] == "one"


def test_a_picture_of_all_plots_stands_by_itself(tmp_path):
    panels = report_page.panels_of(section(tmp_path))
    svg = ElementTree.fromstring(interval_plot.picture(panels, "all <"))
    space = "{http://www.w3.org/2000/svg}"
    assert svg.find(f"{space}title").text == "all <" and "prefers-color-scheme" in svg.find(f"{space}style").text
    groups = svg.findall(f"{space}g")
    assert [group.find(f"{space}text").text for group in groups] == ["fid", "recall", "diversity"]
    corners = [group.attrib["transform"] for group in groups]
    wide = interval_plot.panel_size(panels[0], interval_plot.names_width(panels))[0] + interval_plot.GAP
    high = interval_plot.HEAD + 5 * interval_plot.ROW + interval_plot.FOOT + interval_plot.GAP
    assert corners == ["translate(28 28)", f"translate({28 + wide:g} 28)", f"translate(28 {28 + high:g})"]


@pytest.mark.parametrize(
    "kind, skeleton, width", [("mas", "nba", 2), ("mas", "nba", 3), ("text", "smpl22", 3), ("action", "smpl24", 3)]
)
def test_a_page_shows_the_samples_of_every_family(tmp_path, kind, skeleton, width):
    run("eval.report", made(tmp_path, kind=kind, skeleton=skeleton, width=width))
    text = (tmp_path / "record.html").read_text()
    page = Outline(text)
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(images) == 2 * 6  # each sample in two halves
    for image in images:
        kind_of, data = image["src"].split(",")
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert kind_of == "data:image/webp;base64" and picture.shape == (180, 720, 3) and picture.std() > 3
    assert images[0]["alt"] == "8 moments of 0.6 s of dreamfusion, best, distance 0.5" and images[1]["alt"] == ""
    assert page.text.count("distance 0.5") == page.text.count("distance 9.75") == 2
    assert ("its sentence" in page.text) == (kind == "text")


def test_a_page_says_everything_and_needs_nothing(tmp_path):
    path = made(tmp_path)
    run("eval.report", path, "--output", tmp_path / "new" / "page.html")
    text = (tmp_path / "new" / "page.html").read_text()
    page = Outline(text)
    assert HOSTILE not in text and page.text.count(HOSTILE) == 8  # six titles, a setting, the command
    assert not any("onclick" in attributes for _, attributes in page.elements)
    assert {tag for tag, _ in page.elements} & {"script", "link", "iframe", "b"} == {"b"}
    assert re.search(r"(href|src)=\"(?!data:|#)|url\(|@import", text) is None and "default-src 'none'" in text
    assert "<td><b>5.5 ± 0.7</b><i></i></td>" in text and "<td>6.0 ± 0.7<i>≈</i></td>" in text
    assert '<tr class="real"><th scope="row">test_data</th>' in text
    assert [tag for tag, _ in page.elements].count("svg") == 3
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_markdown_has_its_pictures_beside_it(tmp_path):
    run("eval.report", made(tmp_path), "--output", tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links == ["page_files/plot_1.svg", "page_files/samples_1_0_dreamfusion.webp"]
    assert (
        sorted(f"page_files/{file.name}" for file in (tmp_path / "page_files").iterdir() if file.name != RECORD)
        == links
    )
    assert cv2.imread(str(tmp_path / links[1])).shape == (6 * 180, 8 * 180, 3)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert "| mas | **5.5 ± 0.7** | **0.500** | **9.60 ± 0.14** |" in rows
    assert "| no\\_3d\\_noise | 6.0 ± 0.7 ≈ | 0.400 | 8.10 ± 0.14 |" in rows
    assert '\\<b onclick="x"\\>\\|\\*&\'\\`\\_' in text and "    python -m eval.evaluate" in text


def test_several_records_are_one_section_each(tmp_path):
    (tmp_path / "other").mkdir()
    few = {name: VALUES[name] for name in ("test_data", "mas")}
    paths = [
        made(tmp_path, examples=False),
        made(tmp_path, "second", examples=False),
        made(tmp_path / "other", values=few),
    ]
    run("eval.report", *paths, "--output", tmp_path / "page.html")
    page = Outline((tmp_path / "page.html").read_text())
    sections = [attributes["id"] for tag, attributes in page.elements if tag == "section"]
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert sections == ["record0", "record1", "record2"] and links == [f"#{name}" for name in sections]
    assert page.text.count(str(paths[0])) == page.text.count(str(paths[2])) == 2  # two are called record.json
    assert page.text.count("second") == 2


def test_records_of_different_evaluators_are_refused(tmp_path, capsys):
    paths = [made(tmp_path), made(tmp_path, "other", sha256="cd" * 32)]
    before = listing(tmp_path)
    said = refusal(capsys, 2, "eval.report", *paths, "--output", tmp_path / "page.html")
    assert "cdcdcdcd" in said and "abababab" in said
    assert listing(tmp_path) == before


@pytest.mark.parametrize("name", ["page.html", "page.md"])
def test_what_exists_is_kept_unless_told_otherwise(tmp_path, capsys, name):
    path = made(tmp_path, examples=False)
    run("eval.report", path, "--output", tmp_path / name)
    before = listing(tmp_path)
    assert "--overwrite" in refusal(capsys, 2, "eval.report", path, "--output", tmp_path / name)
    assert listing(tmp_path) == before
    run("eval.report", path, "--output", tmp_path / name, "--overwrite")
    after = listing(tmp_path)
    assert set(after) == set(before) and after[name] > before[name]


@pytest.mark.parametrize("name", ["page.html", "page.md"])
def test_a_page_that_cannot_be_made_whole_is_not_begun(tmp_path, name):
    path = made(tmp_path)
    examples = dict(np.load(tmp_path / "record_examples.npz"))
    examples["dreamfusion/worst/1"][3] = np.nan
    np.savez(tmp_path / "record_examples.npz", **examples)
    before = listing(tmp_path)
    with pytest.raises(NumericError, match="not finite"):
        run("eval.report", path, "--output", tmp_path / name)
    assert listing(tmp_path) == before


def test_without_examples_there_is_a_page_and_a_note(tmp_path, capsys):
    path = made(tmp_path)
    (tmp_path / "record_examples.npz").unlink()
    run("eval.report", path)
    said = capsys.readouterr()
    assert said.err == f"note: {tmp_path / 'record_examples.npz'} is missing: there are no pictures of samples\n"
    assert said.out == f"{tmp_path / 'record.html'}\n"
    text = (tmp_path / "record.html").read_text()
    assert "record_examples.npz is missing" in text and "<img" not in text and "Samples</h3>" not in text
    np.savez(tmp_path / "record_examples.npz", **{"dreamfusion/best/0": motion("nba", 2)})
    run("eval.report", path, "--overwrite")
    assert "lacks dreamfusion/best/1, dreamfusion/median/0" in capsys.readouterr().err
    assert (tmp_path / "record.html").read_text().count("<img") == 2


def changed(path: Path, *keys: str, to: object) -> Path:
    """The record with one entry changed."""
    content = inner = read_json(path)
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = to
    write_json(path, content)
    return path


@pytest.mark.parametrize(
    "keys, value, said",
    [
        (("format_version",), 2, "format 2"),
        (("metrics",), [], "must hold metrics"),
        (("metrics",), ["fid", "recall"], "diversity"),
        (("metrics",), ["fid", "recall", "diversity", "kid"], "no subject has the metric kid"),
        (("subjects",), {}, "must hold metrics"),
        (("subjects", "mas"), 3, "mas has no metrics"),
        (("subjects", "mas", "fid"), {"mean": 1.0}, "fid of mas"),
        (("subjects", "mas", "fid", "values"), [], "fid of mas"),
        (("subjects", "mas", "fid", "mean"), "5", "fid of mas"),
        (("evaluator",), "evaluator", "evaluator"),
        (("skeleton",), "octopus", "known are nba"),
        (("fps",), 0, "frames a second"),
        (("examples", "dreamfusion", "best"), [{"distance": 1.0}], "examples"),
        (("examples", "dreamfusion"), 5, "examples"),
    ],
)
def test_records_that_are_none(tmp_path, capsys, keys, value, said):
    path = changed(made(tmp_path), *keys, to=value)
    assert said in refusal(capsys, 4, "eval.report", path)
    assert not (tmp_path / "record.html").exists()


def test_other_bad_input(tmp_path, capsys):
    path = made(tmp_path)
    assert "none.json does not exist" in refusal(capsys, 3, "eval.report", tmp_path / "none.json")
    (tmp_path / "list.json").write_text("[1]")
    assert "no record of an evaluation" in refusal(capsys, 4, "eval.report", tmp_path / "list.json")
    assert "one or several records" in refusal(capsys, 2, "eval.report")
    assert ".html or .md" in refusal(capsys, 2, "eval.report", path, "--output", tmp_path / "page.pdf")
    (tmp_path / "record_examples.npz").write_bytes(b"no archive")
    assert "not a readable .npz file" in refusal(capsys, 4, "eval.report", path)


def test_a_subject_may_lack_a_metric(tmp_path):
    values = json.loads(json.dumps(VALUES))
    del values["test_data"]["recall"]
    text = report_page.html_page([section(tmp_path, values=values, examples=False)])
    assert text.count("<td>–<i></i></td>") == 1


def test_a_sample_without_a_caption_takes_the_whole_width(tmp_path):
    shown = section(tmp_path, kind="text", skeleton="smpl22", width=3)
    example = shown.examples["dreamfusion"][:1]
    bare, captioned = (report_page.draw_samples(shown, example, [text]) for text in ("", "a person walks"))
    assert bare.shape == (180, 8 * 180, 3)
    np.testing.assert_array_equal(bare, captioned[:, -bare.shape[1] :])


def test_pictures_fit_their_budget(tmp_path):
    shown = section(tmp_path, width=3)
    image = report_page.draw_samples(shown, shown.examples["dreamfusion"][:1], [""])
    assert image.shape == (180, 8 * 180, 3)
    free, tight = report_page.fitted([image] * 3), report_page.fitted([image] * 3, budget=9000)
    assert sum(map(len, free)) > 9000 >= sum(map(len, tight))
    coded = cv2.imdecode(np.frombuffer(free[0], np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(coded.astype(int) - image).mean() < 3


def test_pages_are_html_or_markdown(tmp_path):
    with pytest.raises(UsageError):
        report_page.write(tmp_path / "page.txt", [])
