#!/usr/bin/env bash
# Every path that the documentation names, in backticks or as the target of a link, exists. A path counts from the top of the project or
# from the folder of the file; `*` stands for any letters. Endings (`.csv.gz`), files of a workspace (`ModelStore/...`) and other names without a
# folder and without an ending of ours are not paths of the project.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

checked=0 missing=0
check() {
    local file=$1 path=$2 folder
    folder=$(dirname "$file")
    checked=$((checked + 1))
    if compgen -G "$path" > /dev/null || compgen -G "$folder/$path" > /dev/null; then
        return
    fi
    if [[ $path != */* ]] && [[ -n $(git ls-files --cached --others --exclude-standard -- "$path" "*/$path") ]]; then
        return
    fi
    echo "$file: $path does not exist"
    missing=$((missing + 1))
}

is_path() {
    case $1 in
        '*'.* | .csv* | ModelStore/* | OriginalData/* | SyntheticData/* | target/* | MOSTLY_AI/* | http*) return 1 ;;
        *.rs | *.md | *.toml | *.sh | *.py | *.cu | *.wgsl | *.svg | *.png | *.csv.gz) return 0 ;;
        */*) [[ -n $(git ls-files --cached --others --exclude-standard -- "${1%%/*}/") ]] ;;
        *) return 1 ;;
    esac
}

while IFS= read -r file; do
    while IFS= read -r path; do
        if is_path "$path"; then
            check "$file" "${path%/}"
        fi
    done < <(awk '/^ *```/ { code = !code; next } !code' "$file" | grep -oE '`[A-Za-z0-9_.*][A-Za-z0-9_./*-]*`' | tr -d '`' | sort -u)
    while IFS= read -r path; do
        [[ $path == *://* || $path == '#'* ]] || check "$file" "${path%%#*}"
    done < <(grep -oE '\]\([^) ]+\)' "$file" | sed 's/^](//; s/)$//' | sort -u)
done < <(git ls-files --cached --others --exclude-standard -- '*.md' ':!tests/fixtures')

echo "paths: $checked checked, $missing missing"
((checked > 0 && missing == 0))
