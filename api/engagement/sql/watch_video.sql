select
    view_count,
    txid,
    changed
from
    app.watch_video(
        %(viewer_id)s::bigint,
        %(item_id)s::bigint,
        %(watch_ms)s::integer,
        %(completion_percent)s::double precision / 100,
        %(feed_request_id)s::uuid,
        %(event_time)s::timestamptz,
        %(request_key)s
    )
