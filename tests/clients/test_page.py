"""Chromium (Debian's, headless) opens the page from a file, without a network, and shows the asked moment."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from body.models import load_body
from tests.bodies import walking
from tests.clients.browser import CAMERA, MARKS, chromium, figure, overlap, pictured, projected, silhouette
from utils.geometry.body import BodyMotion, joints_of
from visualize.page.html import write_page

ALONE = f"paused&bare&floor=off&contacts=off&scheme=light&camera={','.join(map(str, CAMERA))}"
pytestmark = MARKS


@pytest.fixture(scope="module")
def person() -> BodyMotion:
    return walking(40, 20.0, load_body("free").shaped())


def opened(page: Path, asked: str) -> dict[str, str]:
    """The attributes that the page sets on its root element."""
    document, told = chromium(page.parent, "--dump-dom", f"{page.as_uri()}#{asked}")
    assert told == []
    return dict(re.findall(r'data-(\w+)="([^"]*)"', document[: document.index("<head>")]))


def test_the_figure_stands_where_it_should_at_the_asked_time(tmp_path: Path, person: BodyMotion):
    write_page(tmp_path / "page.html", [person])
    seen = {frame: figure(pictured(tmp_path / "page.html", f"t={frame / 20}&{ALONE}")) for frame in (6, 26)}
    wanted = {frame: silhouette(person, frame) for frame in (6, 26)}
    assert [overlap(seen[frame], wanted[frame]) > 0.96 for frame in (6, 26)] == [True, True]
    assert overlap(seen[6], seen[26]) < 0.7, "it moves"


def test_between_frames_and_the_skeleton(tmp_path: Path, person: BodyMotion):
    write_page(tmp_path / "page.html", [replace(person, contacts=np.ones((40, 24), bool))])
    told = opened(tmp_path / "page.html", f"t=0.525&mode=skeleton&{ALONE}")
    assert (told["status"], told["time"], told["drawn"]) == ("ready", "0.5250", "1")
    picture = pictured(tmp_path / "page.html", f"t=0.525&mode=skeleton&{ALONE}")
    middle = joints_of(person)[0][10:12].mean(0)  # joints go straight from one frame to the next, nearly
    places = np.rint(projected(middle)).astype(int)
    assert figure(picture)[places[:, 1], places[:, 0]].all(), "a dot on every joint"
    assert figure(picture).sum() < 0.5 * silhouette(person, 10).sum(), "and no flesh"


HOSTILE = (
    "</script><script>document.title='broken'</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "]]></svg><svg onload=alert(1)>",
    "\"' onmouseover=alert(1) x='",
    "{{data}} {{script}} ${alert(1)} `",
    "\u2028\u2029\u202e\x00\x1b[31m",
    "javascript:alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
)


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_names_side_by_side(tmp_path: Path, person: BodyMotion, number: int, tally):
    """As the name and the sentence of a motion, the name of its body and of a joint, and the title."""
    hostile = HOSTILE[number]
    body = replace(person.body, name=hostile, joints=(hostile, *person.body.joints[1:]))
    sides = [replace(person, name=hostile, text=hostile, body=body), person]
    write_page(tmp_path / "page.html", sides, hostile)
    document, told = chromium(tmp_path, "--dump-dom", (tmp_path / "page.html").as_uri() + "#t=0.5&paused")
    assert told == [] and 'data-status="ready"' in document and 'data-drawn="2"' in document
    shown = re.sub(r"<title>.*?</title>", "", document, flags=re.DOTALL)
    assert document.count("<script") == 2 and "<img" not in shown and "<title>broken" not in document
    assert not re.search(r"<svg onload|<[a-z][^>]* on[a-z]+=", shown)
    tally("page", "`" + hostile.encode("unicode_escape").decode().replace("|", "\\|").replace("`", "'") + "`", 1)


def test_samples_side_by_side(tmp_path: Path, person: BodyMotion):
    write_page(tmp_path / "page.html", [replace(person, name=HOSTILE[0], text=HOSTILE[0]), person], HOSTILE[0])
    picture = figure(pictured(tmp_path / "page.html", "t=0.5&paused&bare&floor=off&contacts=off&scheme=light"))
    halves = [half.sum() for half in np.split(picture, 2, axis=1)]
    assert min(halves) > 2000 and max(halves) < 1.05 * min(halves), "the same figure in both halves"


def test_without_webgl_a_sentence_says_so(tmp_path: Path, person: BodyMotion):
    write_page(tmp_path / "page.html", [person])
    document, _ = chromium(tmp_path, "--disable-3d-apis", "--dump-dom", (tmp_path / "page.html").as_uri())
    assert 'data-status="no webgl"' in document and "draws with WebGL 2" in document


def test_dark_floor_shadow_and_contacts(tmp_path: Path, person: BodyMotion):
    feet = np.isin(person.body.joints, ["left_foot", "right_foot"])
    write_page(tmp_path / "page.html", [replace(person, contacts=np.tile(feet, (40, 1)))])
    dark = pictured(tmp_path / "page.html", "t=1&paused&bare&scheme=dark")
    light = pictured(tmp_path / "page.html", "t=1&paused&bare&scheme=light")
    assert dark[:20].mean() < 40 and light[:20].mean() > 230
    glow = [(picture[..., 0] > picture[..., 2] + 60).sum() for picture in (dark, light)]
    assert min(glow) > 100, "the feet are orange"
    plain = pictured(tmp_path / "page.html", "t=1&paused&bare&scheme=light&floor=off")
    assert figure(light).sum() > 1.5 * figure(plain).sum()
