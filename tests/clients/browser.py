"""Chromium (Debian's, headless), what it prints and shows of a page, and what it should show of a body."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from utils.geometry.body import BodyMotion, vertices_of
from visualize.page.html import FIELD_OF_VIEW

SIZE = 600
PAPER = (0xF7, 0xF8, 0xFA)
CAMERA = (25.0, 12.0, 4.5, 0.1, 0.9, 0.3)  # azimuth, elevation, distance, what is looked at
FLAGS = (
    "--headless --no-sandbox --disable-quic --no-first-run --disable-background-networking --disable-sync "
    "--disable-component-update --enable-unsafe-swiftshader --hide-scrollbars --enable-logging=stderr --v=0 "
    f"--window-size={SIZE},{SIZE} --virtual-time-budget=2500 --force-device-scale-factor=1"
).split()
MARKS = [
    pytest.mark.clients,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium (apt-get install chromium)"),
]


def chromium(folder: Path, *what: str) -> tuple[str, list[str]]:
    """What Chromium prints, and the lines of the page's console that are not its own chatter about speed."""
    flags = [*FLAGS, f"--user-data-dir={folder / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    run = subprocess.run(["chromium", *flags, *what], capture_output=True, text=True, timeout=180, check=True)
    told = [line for line in run.stderr.splitlines() if "CONSOLE" in line and "GL Driver Message" not in line]
    return run.stdout, told


def pictured(page: Path, asked: str, *flags: str) -> np.ndarray:
    """A screenshot, RGB."""
    _, told = chromium(page.parent, *flags, f"--screenshot={page.parent / 'shot.png'}", f"{page.as_uri()}#{asked}")
    assert told == []
    return cv2.cvtColor(cv2.imread(str(page.parent / "shot.png")), cv2.COLOR_BGR2RGB)


def figure(picture: np.ndarray) -> np.ndarray:
    """Which pixels are not paper."""
    return np.abs(picture.astype(int) - PAPER).max(-1) > 8


def projected(points: np.ndarray) -> np.ndarray:
    """Pixels [..., 2] of points [..., 3] seen by CAMERA: the equations of the page, written anew."""
    azimuth, elevation, distance = np.radians(CAMERA[0]), np.radians(CAMERA[1]), CAMERA[2]
    (sa, ca), (se, ce) = ((np.sin(angle), np.cos(angle)) for angle in (azimuth, elevation))
    axes = np.array([[ca, 0, -sa], [-se * sa, ce, -se * ca], [ce * sa, se, ce * ca]])  # right, up, towards the eye
    seen = (points - CAMERA[3:]) @ axes.T
    focal = SIZE / 2 / np.tan(np.radians(FIELD_OF_VIEW / 2))
    return SIZE / 2 + seen[..., :2] * (1, -1) * (focal / (distance - seen[..., 2:]))


def silhouette(motion: BodyMotion, frame: int) -> np.ndarray:
    """Which pixels the mesh covers."""
    frames = slice(frame, frame + 1)
    vertices = vertices_of(replace(motion, rotations=motion.rotations[frames], root=motion.root[frames]))[0]
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for face in np.rint(projected(vertices)[motion.body.faces]).astype(np.int32):
        cv2.fillConvexPoly(mask, face, 1)
    return mask > 0


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()
