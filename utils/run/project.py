"""Where the project's own files lie (shipped weights, assets, stylesheets), whatever the working directory is."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
