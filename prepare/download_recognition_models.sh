#!/usr/bin/env bash
# Fetches the published networks that recognise actions, by which eval.eval_humanact12_uestc judges, into
# assets/actionrecognition: humanact12_gru.tar and uestc_rot6d_stgcn.tar. A file that is there is left alone, one that
# is not the published network is not kept.
#   bash prepare/download_recognition_models.sh [FOLDER]
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$project/assets/actionrecognition}
kinds=${KINDS:-humanact12 uestc}

python=$project/.venv/bin/python
[ -x "$python" ] || python=python3
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
scratch=$(mktemp -d "$folder/.tmp-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$project"

# name, link
published() {
    case "$1" in
        humanact12)
            echo humanact12_gru.tar https://raw.githubusercontent.com/EricGuo5513/action-to-motion/master/model_file/action_recognition_model_humanact12.tar ;;
        uestc)
            echo uestc_rot6d_stgcn.tar 'https://drive.google.com/uc?id=1bSSD69s1dHY7Uk0RGbGc6p7uhUxSDSBK' ;;
        poses)
            echo humanact12_gru_modi_struct.pth.tar 'https://drive.google.com/uc?id=1xfigimkPxKt3a8zvn_ME_NAR6CyTqneK' ;;
    esac
}

fetch() {
    case "$1" in
        https://drive.google.com/*)
            command -v gdown >/dev/null || { reason=' without gdown (pip install gdown)'; return 1; }
            gdown --quiet "$1" -O "$2" ;;
        *)
            curl --fail --silent --show-error --location "$1" --output "$2" ;;
    esac
}

fetched=
for kind in $kinds; do
    read -r name link <<<"$(published "$kind")"
    if [ -f "$folder/$name" ]; then
        echo "$folder/$name is there already"
        continue
    fi
    reason=
    if ! fetch "$link" "$scratch/$name" || [ ! -s "$scratch/$name" ]; then
        echo "error: $link could not be fetched$reason; fetch it with a browser and put it at $folder/$name" >&2
        exit 3
    fi
    fetched="$fetched $kind"
done
[ -n "$fetched" ] || exit 0

"$python" - "$scratch" "$folder" $fetched <<'PYTHON'
import sys
from pathlib import Path

from model.evaluators.action_recognition import FILES, load
from utils.run.errors import PolykineError, sentence

scratch, folder = map(Path, sys.argv[1:3])
for kind in sys.argv[3:]:
    target = folder / FILES[kind].name
    try:
        load(kind, scratch)
        (scratch / target.name).replace(target)
    except (PolykineError, OSError) as error:
        print(f"error: what came for {target} is not it: {sentence(error)}", file=sys.stderr)
        sys.exit(4)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
PYTHON
