#!/bin/sh
# The demo: MovieLens 100K and a catalogue with descriptions, from files to explained recommendations.
# `make demo` calls it; SERVE=0 leaves out the server at the end.
set -eu
cd "$(dirname "$0")/../.."

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }

kgrec graph start >/dev/null
trap 'kgrec graph stop >/dev/null' EXIT
trap 'exit 130' INT TERM

say kgrec run pipelines/movielens.toml
for user in 42 186 655; do
  say kgrec recommend "$user" -k 5
done
top=$(kgrec recommend 42 -k 1 --json | python -c 'import json, sys; print(json.load(sys.stdin)["items"][0]["item_id"])')
say kgrec explain 42 "$top"

if [ "${SERVE:-1}" = 1 ]; then
  printf '\nThe explorer page: http://127.0.0.1:%s/ (Ctrl-C ends it)\n' "${PORT:-8000}"
  say kgrec serve --port "${PORT:-8000}"
else
  printf '\nTo look at it in a browser: .venv/bin/kgrec serve\n'
fi
