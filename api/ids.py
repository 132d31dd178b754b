"""Ids as requests carry them: 63-bit numbers, as text or, in bodies, also as numbers."""

from __future__ import annotations

from typing import Annotated

from litestar.params import PathParameter
from msgspec import Meta

from api.auth import LARGEST_USER_ID as LARGEST_ID
from api.errors import FieldError, NotFoundError
from api.patterns import END, form

LONGEST_ID = len(str(LARGEST_ID))  # digits
PATTERN = form(f"^(0|[1-9][0-9]{{0,{LONGEST_ID - 1}}}){END}", "a 63-bit id, in digits")
NUMBER = form(f"^(0|[1-9][0-9]*){END}", "an id, in digits")

# However long: a number that is larger than any id names nothing, and is a 404.
PathId = Annotated[str, PathParameter(pattern=NUMBER, description="63-bit id")]
ItemId = (
    Annotated[str, Meta(pattern=PATTERN, description="63-bit id, as text")]
    | Annotated[int, Meta(ge=0, le=LARGEST_ID)]
)


def id_of(text: str, field: str) -> int:
    """Return the id of a path; raises `NotFoundError` for what no id can be."""
    # Python does not make numbers of thousands of digits.
    if len(text) > LONGEST_ID or int(text) > LARGEST_ID:
        message = "is larger than any id"
        raise NotFoundError(f"{field}: {message}", errors=[FieldError(field, message)])
    return int(text)
