"""What an import did, in numbers a test can compare and a person can read."""

from __future__ import annotations

import msgspec
from msgspec import Struct


class EntityCount(Struct, frozen=True, kw_only=True):
    """
    How often a data set speaks of one kind of thing, and what became of it.

    `duplicates` were there already, from the same file or an earlier import.
    """

    entity: str
    read: int
    inserted: int
    duplicates: int

    @classmethod
    def of(cls, entity: str, read: int, inserted: int) -> EntityCount:
        """Return a count: what was read and not inserted is a duplicate."""
        return cls(entity=entity, read=read, inserted=inserted, duplicates=read - inserted)


class MalformedLine(Struct, frozen=True, kw_only=True):
    """A line that was skipped; `column` is empty when the whole line is at fault."""

    file: str
    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        """Say it in one line, the place first, as compilers do."""
        where = f"{self.file}:{self.line}"
        return (
            f"{where}: {self.column}: {self.reason}" if self.column else f"{where}: {self.reason}"
        )


class ImportReport(Struct, frozen=True, kw_only=True):
    """
    The whole of one import, parts done before an interruption included.

    `malformed` lists the first lines only (`MALFORMED_SHOWN`); `malformed_lines` counts all, and
    `app.import_malformed_lines` holds them. `held_out_rows` are later than `--until`.
    """

    source: str
    run_id: int
    is_resumed: bool
    shift_seconds: int
    seconds: float
    counts: tuple[EntityCount, ...]
    held_out_rows: int
    malformed_lines: int
    malformed: tuple[MalformedLine, ...]

    def of(self, entity: str) -> EntityCount:
        """Return the count of one entity; zeros when the data set never speaks of it."""
        for count in self.counts:
            if count.entity == entity:
                return count
        return EntityCount.of(entity, 0, 0)

    def joined(self, other: ImportReport) -> ImportReport:
        """Return this report with what another one counted."""
        return msgspec.structs.replace(
            self, seconds=self.seconds + other.seconds, counts=self.counts + other.counts
        )

    @property
    def inserted(self) -> int:
        """Rows that are new, of all entities."""
        return sum(count.inserted for count in self.counts)
