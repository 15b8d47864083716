"""Fixtures that many tests share: where the golden numbers and the shared data lie."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def one_thread():
    """Tests run beside each other, so each keeps to one core."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def golden() -> Path:
    """The golden numbers that the repository carries."""
    return ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder beside the checkout; tests that need it skip by name where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared (recorded motion and large golden files)")
    return folder


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Notes what a test tried and how often, for RELIABILITY.md, where `make test-reliability` wants to know."""

    def note(kind: str, what: str, tried: int, **found: int) -> None:
        if place := os.environ.get("POLYKINE_TALLY"):
            record = {"kind": kind, "what": what, "tried": tried, "test": request.node.nodeid} | found
            with open(place, "a") as handle:
                handle.write(json.dumps(record) + "\n")

    return note
