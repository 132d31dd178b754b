#!/usr/bin/env bash
# Lints every SQL and Python file. CI and `./nova lint` run this same script; it needs no database.
# Everything is looked at before it fails, so that one run tells all there is to fix.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=0
check() {
    echo "lint: $*"
    "$@" || failed=1
}

# sqlfluff takes its templater from the command line only, so each tree is its own run; what a
# tree's parameters stand for is in its own .sqlfluff.
sql() {
    check python -m sqlfluff lint --disable-progress-bar "$@"
}

sql models tests/dbt analyses
sql clickhouse --templater placeholder
sql api --templater placeholder
sql bench --templater placeholder
sql postgres --templater raw

check python -m ruff check .
check python -m ruff format --check .
check python -m mypy

exit "$failed"
