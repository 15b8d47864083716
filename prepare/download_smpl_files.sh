#!/usr/bin/env bash
# Puts SMPL's files where the programs look for them: body_models/smpl/SMPL_{NEUTRAL,MALE,FEMALE}.pkl.
# SMPL's licence lets nobody pass the files on, so they are not fetched: register, download, and name what came.
#   bash prepare/download_smpl_files.sh SMPL_python_v.1.1.0.zip
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
folder=${2:-$project/body_models/smpl}

if [ $# -eq 0 ]; then
    echo "SMPL cannot be downloaded without an account, and the free body works without it. To use SMPL:"
    echo "  1. register at https://smpl.is.tue.mpg.de and accept the licence (non-commercial research)"
    echo "  2. download 'SMPL for Python', version 1.1.0"
    echo "  3. bash prepare/download_smpl_files.sh SMPL_python_v.1.1.0.zip (or a .pkl from it)"
    echo "More in body_models/README.md."
    exit 2
fi
if [ ! -f "$1" ]; then
    echo "error: $1 does not exist" >&2
    exit 3
fi

python=$project/.venv/bin/python
[ -x "$python" ] || python=python3
source=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$project"
"$python" - "$source" "$folder" <<'PYTHON'
import sys
import tempfile
import zipfile
from pathlib import Path

from utils.formats import smpl_files
from utils.run.errors import PolykineError, sentence
from utils.run.files import atomic_path

source, folder = Path(sys.argv[1]), Path(sys.argv[2])
NAMES = {"smpl": "SMPL_NEUTRAL.pkl", "smpl_male": "SMPL_MALE.pkl", "smpl_female": "SMPL_FEMALE.pkl"}


def bodies():
    """Names and bytes of the body files in a zip, or of the file itself."""
    if not zipfile.is_zipfile(source):
        yield source.name, source.read_bytes()
        return
    with zipfile.ZipFile(source) as packed:
        for item in packed.infolist():
            name = Path(item.filename).name
            if name.lower().endswith(".pkl") and ("smpl_" in name.lower() or "basicmodel" in name.lower()):
                yield name, packed.read(item)


def fail(message):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(4)


found = 0
for name, content in bodies():
    target = folder / NAMES[smpl_files.name_of(name)]
    try:
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / name).write_bytes(content)
            smpl_files.read(Path(scratch) / name)
        with atomic_path(target) as temporary:
            temporary.write_bytes(content)
    except (PolykineError, OSError) as error:
        fail(sentence(error))
    print(f"{target}: {len(content) / 1e6:.1f} MB, from {name}")
    found += 1
if not found:
    fail(f"{source} holds no SMPL body (basicmodel_*.pkl or SMPL_*.pkl)")
PYTHON
