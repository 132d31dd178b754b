-- newest_videos(creator, viewer, most): a creator's newest public videos as JSON, without those the
-- viewer asked not to see.
create or replace function app.newest_videos(
    p_creator_id bigint,
    p_viewer_id bigint,
    p_most integer
)
returns jsonb
language sql
stable
as $$
    select
        coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'video_id', newest.id,
                    'title', newest.title,
                    'duration_ms', newest.duration_ms,
                    'thumbnail_url', newest.thumbnail_url,
                    'created_at', newest.created_at,
                    'views', coalesce(counters.views, 0),
                    'likes', coalesce(counters.likes, 0)
                )
                order by
                    newest.published_at desc,
                    newest.id desc
            ),
            '[]'::jsonb
        )
    from (
        select *
        from app.videos
        where
            videos.creator_id = p_creator_id
            and videos.status = 'published'
            and not videos.deleted
            and videos.published_at <= now()
            and not exists (
                select 1
                from app.not_interested as hidden
                where
                    hidden.user_id = p_viewer_id
                    and hidden.video_id = videos.id
                    and not hidden.deleted
            )
        order by
            videos.published_at desc,
            videos.id desc
        limit p_most
    ) as newest
    left join app.video_engagement as counters on newest.id = counters.video_id
$$;

comment on function app.newest_videos(bigint, bigint, integer) is
'Newest public videos of a creator that a viewer did not hide, as a JSON array of their cards.';
