"""Times between frames, as programs round them, are the rates that people have."""

import pytest

from utils.formats.rates import RATES, rate_of, rate_of_text


@pytest.mark.parametrize(
    ("text", "fps"),
    [("0.0166667", 60), ("0.017", 60), ("0.016", 60), ("0.0167", 60), ("0.033", 30), ("0.0333", 30), ("0.0083", 120),
     ("0.008", 125), ("0.0417", 24), ("0.042", 24), ("0.04", 25), ("0.02", 50), ("0.05", 20), ("0.0333667", 29.97),
     ("0.0769231", 13), ("0.0153846", 65), ("0.037", 1 / 0.037), ("2", 0.5)],
)  # fmt: skip
def test_times_of_few_digits(text, fps):
    assert rate_of_text(text) == pytest.approx(fps, rel=1e-6)


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "0", "-0.1", "1e-9", "1e9", "1e999999999"])
def test_what_is_no_time(text):
    assert rate_of_text(text) is None


@pytest.mark.parametrize("rate", RATES)
def test_every_rate_comes_back_from_four_digits_on(rate):
    for digits in range(4, 17):
        assert rate_of_text(f"{1 / rate:.{digits}f}") == rate, digits
    assert rate_of(1 / rate) == rate
