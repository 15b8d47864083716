"""Titles with emoji: signs are drawn, what no font has is named, and plain text is drawn as before."""

import cv2
import numpy as np
import pytest

from visualize.sticks.figures import write_title
from visualize.sticks.lettering import drawable, width_of, wrapped, write


def drawn(line: str) -> np.ndarray:
    image = np.full((40, 300, 3), 255, np.uint8)
    write(image, line, (5, 28), (0, 0, 0), 20, 400)
    return image


@pytest.mark.parametrize(
    ("text", "other"),
    [("a man jumps 😀", "a man jumps 😀"), ("runs 🏃🏽\u200d♀️ fast", "runs (runner) ♀ fast"), ("🇩🇪 walks", "DE walks"),
     ("a  man (left)", "a  man (left)"), ("人が歩く", "人が歩く"), ("☀️", "☀"), ("🫨", "(shaking face)"), ("", "")],
)  # fmt: skip
def test_what_can_be_drawn(text, other):
    assert drawable(text) in (other, other.replace("shaking face", "sign"))  # named by Python 3.12 and later


def test_signs_are_drawn_and_no_question_marks():
    smile, heart, asked = drawn("😀"), drawn("❤"), drawn("?")
    for one, two in ((smile, heart), (smile, asked), (heart, asked)):
        assert (one != two).any()
    assert (smile < 128).sum() > 100
    assert width_of("a😀b", 20, 400) == sum(width_of(part, 20, 400) for part in ("a", "😀", "b"))


def test_plain_text_is_drawn_as_opencv_does():
    image = np.full((40, 300, 3), 255, np.uint8)
    cv2.putText(image, "a person walks", (5, 28), (0, 0, 0), cv2.FontFace("sans"), 20, 400)
    assert np.array_equal(drawn("a person walks"), image)


def test_a_title_of_emoji_alone():
    assert wrapped("🏃" * 40, 40, 3)[-1].endswith(" ...")
    assert (write_title(np.full((256, 256, 3), 255, np.uint8), "😀 🏃 🫨 \U0001fae8") < 128).any()
