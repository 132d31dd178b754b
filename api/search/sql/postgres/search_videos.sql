-- A page of the videos that answer a query, best first, behind a place, while ClickHouse is away.
select
    video_id,
    creator_id,
    published_at,
    relevance_ppm
from
    app.search_videos( -- noqa: PRS
        %(search_query)s,
        %(viewer_id)s::bigint,
        %(creator_id)s::bigint,
        %(category)s,
        %(published_from)s::timestamptz,
        %(published_until)s::timestamptz,
        %(below_ppm)s::bigint,
        %(below_at)s::timestamptz,
        %(below_id)s::bigint,
        %(places)s::integer
    )
