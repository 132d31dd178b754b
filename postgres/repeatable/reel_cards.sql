-- reel_cards(ids): what reels show beside their place in a ranking, all by key, in no order. Videos
-- that are not public (any more) do not come at all. Whoever asks bounds the ids.
create or replace function app.reel_cards(p_video_ids bigint[])
returns table (
    video_id bigint,
    title text,
    duration_seconds double precision,
    completion_rate double precision,
    created_at timestamptz,
    thumbnail_url text,
    view_count bigint,
    like_count bigint,
    share_count bigint,
    comment_count bigint
)
language sql
stable
as $$
    select
        videos.id,
        videos.title,
        videos.duration_ms / 1000::double precision,
        case
            when totals.views > 0 then least(1, totals.completions / totals.views)
            else 0
        end,
        -- Milliseconds, as in ClickHouse, which has the cards while Postgres is away.
        date_trunc('milliseconds', videos.created_at),
        videos.thumbnail_url,
        coalesce(totals.views, 0),
        coalesce(totals.likes, 0),
        coalesce(totals.shares, 0),
        coalesce(totals.comments, 0)
    from app.videos
    left join app.video_engagement as totals on videos.id = totals.video_id
    where
        videos.id = any(p_video_ids)
        and videos.status = 'published'
        and not videos.deleted
$$;

comment on function app.reel_cards(bigint[]) is
'Public videos by id: title, length (seconds), part played per view (0 to 1), counters (counts).';
