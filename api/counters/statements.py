"""What Postgres and Redis are asked about counters, by the name of the file."""

from __future__ import annotations

from pathlib import Path

SQL = {path.stem: path.read_text() for path in (Path(__file__).parent / "sql").glob("*.sql")}
LUA = {path.stem: path.read_text() for path in (Path(__file__).parent / "lua").glob("*.lua")}
