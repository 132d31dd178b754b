"""What stops an import as a whole; a bad line never does."""

from __future__ import annotations

from api.actionable import ActionableError


class ImportRefusedError(ActionableError):
    """The import cannot begin: files missing, wrong header, another clock, one already running."""


class ImportInterruptedError(ActionableError):
    """Postgres went away in the middle; what was stored stays, the same import goes on."""
