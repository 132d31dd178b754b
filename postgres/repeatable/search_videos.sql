-- search_videos(…): the videos that answer a query, best first, below a place. It stands in for
-- nova.search__reels while ClickHouse is away: all words must be there; when there is no such
-- video, similar ones do, among the newest 20,000. At most 1,000 are ranked, the newest.
create or replace function app.search_videos(
    p_query text,
    p_viewer_id bigint,
    p_creator_id bigint,
    p_category text,
    p_published_from timestamptz,
    p_published_until timestamptz,
    p_below_ppm bigint,
    p_below_at timestamptz,
    p_below_id bigint,
    p_limit integer
)
returns table (
    video_id bigint,
    creator_id bigint,
    published_at timestamptz,
    relevance_ppm bigint
)
language plpgsql
stable
as $$
declare
    v_query tsquery := app.search_query(p_query);
    v_text text := app.search_text(p_query);
    v_found jsonb;
begin
    if v_query is null then
        return;
    end if;

    -- Kept as one value: whether anything was found decides what is ranked.
    select jsonb_agg(jsonb_build_array(found.id, found.creator_id, found.at, found.relevance))
    into v_found
    from (
        select
            videos.id,
            videos.creator_id,
            videos.published_at as at,
            ts_rank(
                app.video_document(videos.title, videos.description, videos.hashtags), v_query, 1
            ) as relevance
        from app.videos
        where
            videos.status = 'published'
            and not videos.deleted
            and app.video_document(videos.title, videos.description, videos.hashtags) @@ v_query
            and videos.published_at between p_published_from and p_published_until
            and (p_creator_id is null or videos.creator_id = p_creator_id)
            and (p_category is null or videos.category = p_category)
            and not exists (
                select
                from app.blocks
                where
                    not blocks.deleted
                    and (blocks.blocker_id, blocks.blocked_id) in (
                        (p_viewer_id, videos.creator_id), (videos.creator_id, p_viewer_id)
                    )
            )
        order by
            videos.published_at desc,
            videos.id desc
        limit 1000
    ) as found;

    if v_found is null then
        select jsonb_agg(jsonb_build_array(found.id, found.creator_id, found.at, found.relevance))
        into v_found
        from (
            select
                newest.id,
                newest.creator_id,
                newest.at,
                word_similarity(v_text, newest.document) as relevance
            from (
                select
                    videos.id,
                    videos.creator_id,
                    videos.published_at as at,
                    app.search_text(
                        videos.title || ' ' || array_to_string(videos.hashtags, ' ')
                    ) as document
                from app.videos
                where
                    videos.status = 'published'
                    and not videos.deleted
                    and videos.published_at between p_published_from and p_published_until
                    and (p_creator_id is null or videos.creator_id = p_creator_id)
                    and (p_category is null or videos.category = p_category)
                order by
                    videos.published_at desc,
                    videos.id desc
                limit 20000
            ) as newest
            where
                word_similarity(v_text, newest.document) >= 0.5
                and not exists (
                    select
                    from app.blocks
                    where
                        not blocks.deleted
                        and (blocks.blocker_id, blocks.blocked_id) in (
                            (p_viewer_id, newest.creator_id), (newest.creator_id, p_viewer_id)
                        )
                )
            order by
                newest.at desc,
                newest.id desc
            limit 1000
        ) as found;
    end if;

    return query
    select
        ranked.id,
        ranked.creator_id,
        ranked.at,
        ranked.ppm
    from (
        select
            (one.place ->> 0)::bigint as id,
            (one.place ->> 1)::bigint as creator_id,
            -- Milliseconds, as a cursor has them.
            date_trunc('milliseconds', (one.place ->> 2)::timestamptz) as at,
            round(1000000 * (one.place ->> 3)::numeric)::bigint as ppm
        from jsonb_array_elements(v_found) as one (place)
    ) as ranked
    where (ranked.ppm, ranked.at, ranked.id) < (p_below_ppm, p_below_at, p_below_id)
    order by
        ranked.ppm desc,
        ranked.at desc,
        ranked.id desc
    limit greatest(0, least(p_limit, 200));
end;
$$;

comment on function app.search_videos(
    text, bigint, bigint, text, timestamptz, timestamptz, bigint, timestamptz, bigint, integer
) is
'One row per public video that answers a query, best first and below a place, at most 200; null '
'for any creator or category. Relevance in parts per million, comparable within one query.';
