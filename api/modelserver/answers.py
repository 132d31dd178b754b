"""What a model server may answer: as many vectors as were asked for, each one usable."""

from __future__ import annotations

import json
from array import array
from math import isfinite
from typing import Literal

import msgspec
from msgspec import Struct

# Why a server gave no answer at all: the words of a metric, so a short list.
Failure = Literal["unreachable", "timeout", "status", "truncated", "too_large"]
# Why an answer, or one vector of it, was not taken.
Refusal = Literal["not_json", "shape", "count", "dimensions", "not_finite", "all_zero"]

SHOWN_CHARACTERS = 200  # of an answer, in the log


class ModelServerError(Exception):
    """A batch brought nothing; `reason` says why in a word, the message to a person."""

    def __init__(self, reason: Failure | Refusal, message: str) -> None:
        super().__init__(message)
        self.reason: Failure | Refusal = reason


class Answer(Struct):
    """The body of TensorFlow Serving's answer to rows of instances: one output per instance."""

    predictions: list[list[float]]


class Predicted(Struct, frozen=True):
    """Vectors by their place in the batch, and which places have none that can be used."""

    vectors: dict[int, list[float]]
    refused: dict[int, Refusal]


def read_answer(body: bytes, instances: int, dimensions: int) -> Predicted:
    """
    Return the vectors of an answer; raises `ModelServerError` when it is none for these instances.

    What does not fit as a whole is not taken apart: whose vector is whose would be a guess. One
    vector that holds no direction costs only its own video.
    """
    predictions = predictions_of(body)
    if len(predictions) != instances:
        raise ModelServerError("count", f"{len(predictions)} predictions for {instances} instances")
    for vector in predictions:
        if len(vector) != dimensions:
            raise ModelServerError(
                "dimensions", f"{len(vector)} dimensions where {dimensions} are registered"
            )
    vectors: dict[int, list[float]] = {}
    refused: dict[int, Refusal] = {}
    for place, vector in enumerate(predictions):
        stored = array("f", vector)
        if not all(map(isfinite, stored)):
            refused[place] = "not_finite"
        elif not any(stored):
            refused[place] = "all_zero"
        else:
            vectors[place] = vector
    return Predicted(vectors, refused)


def predictions_of(body: bytes) -> list[list[float]]:
    """Return the numbers of an answer; raises `ModelServerError`."""
    try:
        # TensorFlow Serving writes NaN and Infinity as such, which strict readers take for no JSON.
        document = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise ModelServerError("not_json", f"no JSON: {shown(body)}") from exc
    try:
        return msgspec.convert(document, Answer).predictions
    except (msgspec.ValidationError, OverflowError) as exc:
        raise ModelServerError("shape", f"no predictions ({exc}): {shown(body)}") from exc


def shown(body: bytes) -> str:
    """Return the beginning of an answer, for the log."""
    return body[:SHOWN_CHARACTERS].decode(errors="replace")
