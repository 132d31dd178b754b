#!/usr/bin/env bash
# Runs every test on servers of its own; CI and `./nova test` run this same script.
set -euo pipefail
cd "$(dirname "$0")/.."

# A file stays on one worker: its servers are started once.
exec python -m pytest --numprocesses "${NOVA_TEST_WORKERS:-2}" --dist loadfile "$@"
