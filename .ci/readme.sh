#!/usr/bin/env bash
# Runs the README's first or second command as it stands there: `.ci/readme.sh 1`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command=$(awk '/^```/ { fence++; next } fence == 1' README.md | sed -n "${1:?number of the command}p" | sed 's/ *#.*//')
[[ $command == cargo\ * ]] || { echo "README.md has no command number $1"; exit 1; }
echo "$command"
bash -euo pipefail -c "$command"

# The first command writes rows: a header and at least one of them.
output=$(sed -n 's/.* -o \([^ ]*\).*/\1/p' <<< "$command")
if [[ -n $output ]]; then
    lines=$(wc -l < "$output")
    rm -- "$output"
    echo "$output: $lines lines"
    ((lines > 1))
fi
