#!/usr/bin/env bash
# Sourced by the download scripts: `fetch PLACE ID FOLDER FILE...` brings the archive ID of Google Drive, as published.
# FOLDER, what the archive (zip, or tar packed in any way) unpacks to, appears in PLACE whole and with the FILEs in it, or
# not at all; one that is there already stays. `fetch_file PLACE ID FILE` brings a single file.
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
aside=
trap 'rm -rf "$aside"' EXIT

# Brings ID of Google Drive to $aside/fetched, for NAME in PLACE; `then` says what to do with it by hand.
bring() {
    local place=$1 id=$2 name=$3 then=$4
    if ! command -v gdown >/dev/null; then
        echo "error: gdown, which fetches from Google Drive, is not installed: pip install gdown" >&2
        exit 3
    fi
    aside=$(mktemp -d "$place/.tmp-download-XXXXXX")
    if ! gdown "https://drive.google.com/uc?id=$id" -O "$aside/fetched"; then
        echo "error: $name could not be fetched; where Google Drive refuses, fetch" \
            "https://drive.google.com/file/d/$id/view with a browser and $then; where the link is dead," \
            "dataset/README.md says whom to ask" >&2
        exit 3
    fi
}

fetch() {
    local place=$1 id=$2 folder=$3 python=$project/.venv/bin/python
    shift 3
    if [ -e "$place/$folder" ]; then
        echo "$place/$folder is there already; remove it to fetch it again"
        return
    fi
    [ -x "$python" ] || python=python3
    bring "$place" "$id" "$folder" "unpack it in $place"
    mkdir "$aside/unpacked"
    if ! "$python" -m zipfile -e "$aside/fetched" "$aside/unpacked" 2>/dev/null &&
        ! tar -xf "$aside/fetched" -C "$aside/unpacked" 2>/dev/null; then
        echo "error: what came for $folder is no zip archive and no tar archive; try again later" >&2
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

fetch_file() {
    local place=$1 id=$2 file=$3
    if [ -e "$place/$file" ]; then
        echo "$place/$file is there already; remove it to fetch it again"
        return
    fi
    bring "$place" "$id" "$file" "put it into $place as $file"
    if [ "$(head -c 6 "$aside/fetched" | tail -c 5)" != NUMPY ]; then
        echo "error: what came for $file is no array; try again later" >&2
        exit 4
    fi
    mv "$aside/fetched" "$place/$file"
    rm -rf "$aside"
    echo "$place/$file: $(du -sh "$place/$file" | cut -f1)"
}
