#!/usr/bin/env bash
# Sourced by the download scripts: `fetch PLACE ID FOLDER FILE...` brings the archive ID of Google Drive, as published.
# FOLDER, what the archive unpacks to, appears in PLACE whole and with the FILEs in it, or not at all; one that is there
# already stays.
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
aside=
trap 'rm -rf "$aside"' EXIT

fetch() {
    local place=$1 id=$2 folder=$3 python=$project/.venv/bin/python
    shift 3
    if [ -e "$place/$folder" ]; then
        echo "$place/$folder is there already; remove it to fetch it again"
        return
    fi
    if ! command -v gdown >/dev/null; then
        echo "error: gdown, which fetches from Google Drive, is not installed: pip install gdown" >&2
        exit 3
    fi
    [ -x "$python" ] || python=python3
    aside=$(mktemp -d "$place/.tmp-download-XXXXXX")
    if ! gdown "https://drive.google.com/uc?id=$id" -O "$aside/archive.zip"; then
        echo "error: $folder could not be fetched; where Google Drive refuses, fetch" \
            "https://drive.google.com/file/d/$id/view with a browser and unpack it in $place" >&2
        exit 3
    fi
    if ! "$python" -m zipfile -e "$aside/archive.zip" "$aside/unpacked" 2>/dev/null; then
        echo "error: what came for $folder is no zip archive; try again later" >&2
        exit 4
    fi
    for file in "$@"; do
        if [ ! -f "$aside/unpacked/$folder/$file" ]; then
            echo "error: the archive that came for $folder has no $folder/$file; nothing was kept" >&2
            exit 4
        fi
    done
    mv "$aside/unpacked/$folder" "$place/$folder"
    rm -rf "$aside"
    echo "$place/$folder: $(du -sh "$place/$folder" | cut -f1)"
}
