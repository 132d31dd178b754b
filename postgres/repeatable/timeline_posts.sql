-- timeline_posts(viewer, trending, shown, as_of, limit): a viewer's feed without the ranking
-- database: posts of those they follow and trending ones, newest first, by the same rules of what
-- is left out and of saturation as nova.feed__posts, and with their totals. `p_shown` is what the
-- session was shown, in its order. Fewer than a page of them: behind them the newest posts of all.
--
-- The numbers with defaults are vars of dbt_project.yml under the same names; a test compares them.
-- It reads rows in proportion to what it returns and to whom the viewer follows, by key.
create or replace function app.timeline_posts(
    p_viewer_id bigint,
    p_trending_ids bigint[],
    p_shown bigint[],
    p_as_of timestamptz,
    p_limit integer,
    p_followee_window_hours integer default 72,
    p_followee_candidates_posts integer default 500,
    p_trending_candidates_posts integer default 200,
    p_seen_window_days integer default 30,
    p_fill_below_posts integer default 50
)
returns table (
    place integer,
    post_id bigint,
    author_id bigint,
    created_at timestamptz,
    source text,
    likes bigint,
    comments bigint,
    shares bigint,
    exposures bigint,
    dwell_ms_sum bigint
)
language plpgsql
stable
set enable_seqscan = off
set enable_bitmapscan = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
    -- The fill looks at this many posts, and at as many more as were shown.
    c_fill_reach constant integer := 10000;
    c_fill_step constant integer := 1000;

    v_seen_since constant timestamptz := p_as_of - make_interval(days => p_seen_window_days);
    v_post_ids bigint[];
    v_author_ids bigint[];
    v_created_ats timestamptz[];
    v_sources text[];
    v_allowed bigint[];
    v_wanted integer;
    v_left integer;
    v_step_post_ids bigint[];
    v_step_author_ids bigint[];
    v_step_created_ats timestamptz[];
    v_before_created_at timestamptz;
    v_before_id bigint;
    v_shown_author_ids bigint[];
begin
    p_limit := greatest(0, least(p_limit, 500));

    ---------- followees and trending, each cut first
    select
        coalesce(array_agg(candidates.post_id), '{}'),
        coalesce(array_agg(candidates.author_id), '{}'),
        coalesce(array_agg(candidates.created_at), '{}'),
        coalesce(array_agg(candidates.source), '{}')
    into v_post_ids, v_author_ids, v_created_ats, v_sources
    from (
        select distinct on (sourced.post_id) sourced.*
        from (
            select
                followees.*,
                'followee' as source
            from app.followee_posts(
                p_viewer_id,
                p_as_of - make_interval(hours => p_followee_window_hours),
                p_as_of,
                p_followee_candidates_posts
            ) as followees
            union all
            select
                posts.id,
                posts.author_id,
                posts.created_at,
                'trending'
            from app.posts
            where
                posts.id = any(p_trending_ids[:p_trending_candidates_posts])
                and not posts.deleted
                and posts.created_at <= p_as_of
        ) as sourced
        where sourced.post_id not in (
            select shown.id from unnest(p_shown) as shown (id) where shown.id is not null
        )
        order by
            sourced.post_id,
            sourced.source
    ) as candidates;

    v_allowed := app.unhidden_posts(p_viewer_id, v_post_ids, v_author_ids, v_seen_since);

    ---------- newest first
    select
        coalesce(array_agg(candidates.id), '{}'),
        coalesce(array_agg(candidates.author_id), '{}'),
        coalesce(array_agg(candidates.created_at), '{}'),
        coalesce(array_agg(candidates.source), '{}')
    into v_post_ids, v_author_ids, v_created_ats, v_sources
    from (
        select *
        from unnest(v_post_ids, v_author_ids, v_created_ats, v_sources)
            as all_candidates (id, author_id, created_at, source)
        where all_candidates.id in (select unnest(v_allowed))
        order by
            all_candidates.created_at desc,
            all_candidates.id desc
    ) as candidates;

    ---------- the fill: backwards through all posts, past what may not be shown
    v_wanted := p_limit - cardinality(v_post_ids);
    v_left := c_fill_reach + coalesce(cardinality(p_shown), 0);
    v_before_created_at := p_as_of;
    v_before_id := 9223372036854775807;
    if cardinality(v_post_ids) >= p_fill_below_posts then
        v_wanted := 0;
    end if;

    while v_wanted > 0 and v_left > 0 loop
        select
            array_agg(step.id),
            array_agg(step.author_id),
            array_agg(step.created_at)
        into v_step_post_ids, v_step_author_ids, v_step_created_ats
        from (
            select
                posts.id,
                posts.author_id,
                posts.created_at
            from app.posts
            where
                not posts.deleted
                and (posts.created_at, posts.id) < (v_before_created_at, v_before_id)
            order by
                posts.created_at desc,
                posts.id desc
            limit c_fill_step
        ) as step;
        exit when v_step_post_ids is null;

        v_allowed := app.unhidden_posts(
            p_viewer_id, v_step_post_ids, v_step_author_ids, v_seen_since
        );

        select
            v_post_ids || coalesce(array_agg(fill.id), '{}'),
            v_author_ids || coalesce(array_agg(fill.author_id), '{}'),
            v_created_ats || coalesce(array_agg(fill.created_at), '{}'),
            v_sources || coalesce(array_agg('fill_newest'::text), '{}')
        into v_post_ids, v_author_ids, v_created_ats, v_sources
        from (
            select step.*
            from unnest(v_step_post_ids, v_step_author_ids, v_step_created_ats)
            with ordinality as step (id, author_id, created_at, number)
            where
                step.id in (select unnest(v_allowed))
                and step.id not in (select unnest(v_post_ids))
                and step.id not in (
                    select shown.id from unnest(p_shown) as shown (id) where shown.id is not null
                )
            order by step.number
            limit v_wanted
        ) as fill;

        v_wanted := p_limit - cardinality(v_post_ids);
        v_left := v_left - c_fill_step;
        exit when cardinality(v_step_post_ids) < c_fill_step;
        v_before_created_at := v_step_created_ats[c_fill_step];
        v_before_id := v_step_post_ids[c_fill_step];
    end loop;

    ---------- saturation, and the totals of what is left
    v_shown_author_ids := array(
        select posts.author_id
        from unnest(p_shown[greatest(1, cardinality(p_shown) - 4):])
        with ordinality as shown (id, number)
        left join app.posts on shown.id = posts.id
        order by shown.number
    );

    return query
    select
        served.place::integer,
        v_post_ids[served.rank],
        v_author_ids[served.rank],
        v_created_ats[served.rank],
        v_sources[served.rank],
        coalesce(totals.likes, 0),
        coalesce(totals.comments, 0),
        coalesce(totals.shares, 0),
        coalesce(totals.exposures, 0),
        coalesce(totals.dwell_ms, 0)
    from unnest(app.saturated_order(v_author_ids, v_shown_author_ids))
    with ordinality as served (rank, place)
    left join app.post_engagement as totals on v_post_ids[served.rank] = totals.post_id
    where served.place <= p_limit
    order by served.place;
end;
$$;

comment on function app.timeline_posts(
    bigint, bigint[], bigint[], timestamptz, integer, integer, integer, integer, integer, integer
) is
'One row per place of a viewer''s timeline: posts of followees and trending ones, newest first, '
'with their totals (counts, milliseconds).';
