"""What Prometheus reads at /metrics; names and labels are a contract with dashboards."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

REQUEST_SECONDS = Histogram(
    "nova_http_request_seconds",
    "Time to answer, by route template (seconds)",
    ("method", "route", "status"),
    buckets=SECONDS,
)
STORE_SECONDS = Histogram(
    "nova_store_call_seconds",
    "Time of one call to a store, failures included (seconds)",
    ("store",),
    buckets=SECONDS,
)
STORE_FAILURES = Counter(
    "nova_store_call_failures", "Calls to a store that failed or took too long (count)", ("store",)
)
STORE_CROWDED = Counter(
    "nova_store_call_crowded", "Calls to a store that got no place in time (count)", ("store",)
)
FEED_PAGES = Counter(
    "nova_feed_pages",
    "Pages served, by where they came from (count)",
    ("surface", "degraded", "cache_hit"),
)
RANKING_ROWS = Histogram(
    "nova_feed_ranking_rows",
    "Rows of one ranking read from ClickHouse (count)",
    ("surface",),
    buckets=(0, 1, 10, 50, 100, 200, 300, 400, 500),
)
RANKED_TOGETHER = Histogram(
    "nova_feed_ranked_together",
    "Viewers whose rankings one statement made (count)",
    buckets=(1, 2, 4, 8, 16, 32),
)

# ---------- counters
COUNTERS_READ = Counter(
    "nova_counters_read",
    "Live counters of items on pages, by where they came from (items); none: as of the ranking",
    ("source",),
)

# ---------- feeds after a write
LANDING_WAIT_SECONDS = Histogram(
    "nova_feed_landing_wait_seconds",
    "Wait of a first page for its viewer's last write to be in ClickHouse (seconds); "
    "skipped: it cannot come in time",
    ("outcome",),
    buckets=SECONDS,
)
REFRESHED_UNTOLD = Counter(
    "nova_feed_refreshed_untold",
    "Looks of a process that found nobody who tells how far what ranks was refreshed (count)",
)
TOUCHES_LATE = Counter(
    "nova_feed_touches_late", "Writes whose effect on feeds Redis did not take at once (count)"
)
TOUCHES_LOST = Counter(
    "nova_feed_touches_lost", "Writes whose effect on feeds Redis was never told (count)"
)
LARGE_POST_CHECKS = Counter(
    "nova_feed_large_post_checks",
    "First pages that asked Postgres if their viewer follows a large author who posted (count)",
    ("outcome",),
)

# ---------- writes
WRITE_EFFECTS_FAILED = Counter(
    "nova_write_effects_failed", "What was to follow from a committed write and did not (count)"
)

# ---------- discovery
DISCOVERY_LISTS = Counter(
    "nova_discovery_lists",
    "Lists of users served, by where they came from (count)",
    ("kind", "degraded", "cache_hit"),
)
DISCOVERY_REFRESHES = Counter(
    "nova_discovery_refreshes",
    "Lists ranked anew behind an answer (count); skipped: many were under way",
    ("outcome",),
)
