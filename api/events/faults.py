"""What msgspec finds wrong with events, field by field: decoding a batch, it stops at the first."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from api.bodies import field_error
from api.events.schemas import MOST_EVENTS, Event, RawBatch

# What is wrong, in words, by place in the batch and field. An event that is no object has one
# fault, of the field `event`; a list that is none or too long one of `events`, without a place.
Faults = dict[tuple[int | None, str], str]

WHOLE_EVENT = "event"

# An event as it came, by the names of its fields; None is no object.
Members = list[dict[str, Raw] | None]

_list = msgspec.json.Decoder(list[Raw])
_object = msgspec.json.Decoder(dict[str, Raw])
_fields = {
    field.encode_name: (msgspec.json.Decoder(field.type), field.required)
    for field in msgspec.structs.fields(Event)
}
_order = {name: place for place, name in enumerate(_fields)}


def members_of(batch: RawBatch) -> Members:
    """Return the events of a batch; none where it is no list of so many. Raises `DecodeError`."""
    try:
        events = _list.decode(batch.events)
    except msgspec.ValidationError:
        return []
    return [_member(event) for event in events] if len(events) <= MOST_EVENTS else []


def _member(event: Raw) -> dict[str, Raw] | None:
    try:
        return _object.decode(event)
    except msgspec.ValidationError:
        return None


def faults_of(members: Members) -> Faults:
    """Return every fault of every event that is one of type, format or range."""
    found: Faults = {}
    for index, event in enumerate(members):
        if event is None:
            found[index, WHOLE_EVENT] = "must be an object"
            continue
        for name, (decoder, is_required) in _fields.items():
            if name in event:
                message = _fault(event[name], decoder)
            else:
                message = "is required" if is_required else None
            if message:
                found[index, name] = message
    return found


def _fault(value: Raw, decoder: msgspec.json.Decoder[object]) -> str | None:
    try:
        decoder.decode(value)
    except msgspec.ValidationError as exc:
        return field_error(exc).message
    except msgspec.DecodeError:  # half a surrogate pair, for one
        return "is not valid JSON"
    return None


def without(members: Members, faults: Faults) -> RawBatch:
    """Return a batch without the fields that are at fault, and without those nobody reads."""
    kept = [
        event
        and {
            name: value
            for name, value in event.items()
            if name in _fields and (index, name) not in faults
        }
        for index, event in enumerate(members)
    ]
    return RawBatch(Raw(msgspec.json.encode(kept)))


def in_order(faults: Faults) -> list[tuple[int | None, str]]:
    """Return where the faults are, first events first."""
    return sorted(faults, key=lambda place: (place[0] or 0, _order.get(place[1], -1)))
