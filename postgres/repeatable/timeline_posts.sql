-- timeline_posts(viewer, trending, shown, as_of, limit): a viewer's feed without the ranking
-- database: posts of those they follow and trending ones, newest first, with their totals. What is
-- a candidate, what is left out and how one author's posts are kept apart: as in nova.feed__posts.
-- `p_shown` is what the session was shown, in its order. When fewer than a page are left, the
-- newest posts of all fill the list, behind them.
--
-- The numbers with defaults are vars of dbt_project.yml of the same names; a test compares them.
-- Reads by key, in proportion to whom the viewer follows and to what it returns.
create or replace function app.timeline_posts(
    p_viewer_id bigint,
    p_trending_ids bigint[],
    p_shown bigint[],
    p_as_of timestamptz,
    p_limit integer,
    p_feed_posts integer default 500,
    p_fill_below_posts integer default 50,
    p_post_window_days integer default 30,
    p_seen_window_days integer default 30,
    p_followee_window_hours integer default 72,
    p_followee_candidates_posts integer default 500,
    p_trending_candidates_posts integer default 200
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
    -- The fill looks at this many posts, and at as many more as were shown; so many at a time.
    c_fill_reach constant integer := 10000;
    c_fill_step constant integer := 1000;

    v_oldest constant timestamptz := p_as_of - make_interval(hours => 24 * p_post_window_days);
    v_seen_since constant timestamptz := p_as_of - make_interval(hours => 24 * p_seen_window_days);
    v_shown constant bigint[] := coalesce(array_remove(p_shown, null), '{}');
    v_post_ids bigint[];
    v_author_ids bigint[];
    v_created_ats timestamptz[];
    v_sources text[];
    v_hidden bigint[];
    v_wanted integer := 0;
    v_reach integer := c_fill_reach + cardinality(v_shown);
    v_step_post_ids bigint[];
    v_step_author_ids bigint[];
    v_step_created_ats timestamptz[];
    v_before_created_at timestamptz := p_as_of;
    v_before_id bigint := 9223372036854775807;
    v_shown_author_ids bigint[];
begin
    p_limit := greatest(0, least(p_limit, p_feed_posts));

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
                greatest(
                    v_oldest, p_as_of - make_interval(hours => p_followee_window_hours)
                ),
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
                and posts.created_at > v_oldest
                and posts.created_at <= p_as_of
        ) as sourced
        order by
            sourced.post_id,
            sourced.source
    ) as candidates;

    ---------- what may be shown, newest first
    v_hidden := v_shown || app.hidden_posts(p_viewer_id, v_post_ids, v_author_ids, v_seen_since);
    select
        coalesce(array_agg(candidates.id), '{}'),
        coalesce(array_agg(candidates.author_id), '{}'),
        coalesce(array_agg(candidates.created_at), '{}'),
        coalesce(array_agg(candidates.source), '{}')
    into v_post_ids, v_author_ids, v_created_ats, v_sources
    from (
        select *
        from unnest(v_post_ids, v_author_ids, v_created_ats, v_sources)
            as sourced (id, author_id, created_at, source)
        where sourced.id not in (select unnest(v_hidden))
        order by
            sourced.created_at desc,
            sourced.id desc
    ) as candidates;

    ---------- the fill: backwards through all posts, past what may not be shown
    if cardinality(v_post_ids) < p_fill_below_posts then
        v_wanted := p_limit - cardinality(v_post_ids);
    end if;

    while v_wanted > 0 and v_reach > 0 loop
        select
            coalesce(array_agg(step.id), '{}'),
            coalesce(array_agg(step.author_id), '{}'),
            coalesce(array_agg(step.created_at), '{}')
        into v_step_post_ids, v_step_author_ids, v_step_created_ats
        from (
            select
                posts.id,
                posts.author_id,
                posts.created_at
            from app.posts
            where
                not posts.deleted
                and posts.created_at > v_oldest
                and (posts.created_at, posts.id) < (v_before_created_at, v_before_id)
            order by
                posts.created_at desc,
                posts.id desc
            limit c_fill_step
        ) as step;

        v_hidden := v_shown || v_post_ids || app.hidden_posts(
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
            where step.id not in (select unnest(v_hidden))
            order by step.number
            limit v_wanted
        ) as fill;

        exit when cardinality(v_step_post_ids) < c_fill_step;
        v_wanted := p_limit - cardinality(v_post_ids);
        v_reach := v_reach - c_fill_step;
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
        posts.id,
        posts.author_id,
        posts.created_at,
        posts.source,
        coalesce(totals.likes, 0),
        coalesce(totals.comments, 0),
        coalesce(totals.shares, 0),
        coalesce(totals.exposures, 0),
        coalesce(totals.dwell_ms, 0)
    from unnest(app.saturated_order(v_author_ids, v_shown_author_ids))
    with ordinality as served (rank, place)
    inner join unnest(v_post_ids, v_author_ids, v_created_ats, v_sources)
    with ordinality as posts (id, author_id, created_at, source, rank)
        on served.rank = posts.rank
    left join app.post_engagement as totals on posts.id = totals.post_id
    where served.place <= p_limit
    order by served.place;
end;
$$;

comment on function app.timeline_posts(
    bigint,
    bigint[],
    bigint[],
    timestamptz,
    integer,
    integer,
    integer,
    integer,
    integer,
    integer,
    integer,
    integer
) is
'One row per place of a viewer''s timeline: posts of followees and trending ones, newest first, '
'with their totals (counts, milliseconds).';
