"""Versions of embeddings that a model server computes, as they are registered in Postgres."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from api.stores import Postgres
from api.surfaces.rows import statements_in

SQL = statements_in(Path(__file__).parent / "sql" / "postgres")


class ServedModel(Struct, frozen=True):
    """A version, which is also what the server calls the model, and the length of its vectors."""

    model_version: str
    dimensions: int


async def served_models(postgres: Postgres) -> list[ServedModel]:
    """Return the versions to compute, the active one first; raises `StoreUnavailableError`."""
    rows = await postgres.rows(SQL["served_models"], {})
    return [ServedModel(**row) for row in rows]
