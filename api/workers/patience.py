"""How a worker meets a store that is away: it tries again, after ever longer pauses."""

from __future__ import annotations

from threading import Event

from structlog.typing import FilteringBoundLogger
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential_jitter,
)

LONGEST_PAUSE_SECONDS = 15.0
# About 20 seconds: long enough for a store to restart, short enough for somebody who waits.
IMPATIENT_ATTEMPTS = 7


def retrying(
    stop: Event,
    log: FilteringBoundLogger,
    transient: tuple[type[Exception], ...],
    *,
    patient: bool = True,
    longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
) -> Retrying:
    """Return what tries again after `transient` errors: until `stop`, or a few times."""

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning(
            "a store is away, trying again",
            error=type(error).__name__,
            # The first line names the cause; the rest may quote statements.
            reason=str(error).partition("\n")[0][:300],
            where=getattr(error, "__notes__", []),
            attempt=state.attempt_number,
        )

    return Retrying(
        retry=retry_if_exception_type(transient),
        wait=wait_exponential_jitter(multiplier=0.2, max=longest_pause_seconds),
        stop=stop_when_event_set(stop) if patient else stop_after_attempt(IMPATIENT_ATTEMPTS),
        sleep=sleep_using_event(stop),
        before_sleep=tell,
        reraise=True,
    )
