-- generate_readers(seed, readers, days, as_of): people who read the imported posts, because Hacker
-- News says who wrote what and how it was received, but not by whom. The same seed over the same
-- posts makes the same readers; more of them later are added to those that are there. `as_of` is
-- when their reading ends, and is kept from the first run on: run again, it adds nothing.
--
-- Readers are app.import_id('reader', 1) and following.
--
-- * Of the posts of the last `days`: a few authors have most of the followers, by what they wrote
--   and how it was received, and most authors have none.
-- * A reader sees some posts of the authors they follow, and some that everybody sees.
-- * What was shown is opened, liked, discussed and shared the more, the better it was received.
-- * One reader in ten has blocked an author.
-- * Actions are recorded through app.record_events: counters and dedup are the API's.
create or replace function app.generate_readers(
    p_seed bigint default 42,
    p_readers integer default 1000,
    p_days integer default 30,
    p_as_of timestamptz default now()
)
returns table (entity text, read_rows bigint, inserted_rows bigint)
language plpgsql
set work_mem = '64MB'
as $$
declare
    v_options constant jsonb := jsonb_build_object('seed', p_seed, 'days', p_days);
    v_as_of timestamptz;
    v_opened_at timestamptz;
    v_run_id bigint;
    v_covered_until timestamptz;
    -- Place n of the draws below ends where place n + 1 begins; ids[n] is drawn.
    v_author_ids bigint [];
    v_author_draws double precision [];
    v_post_ids bigint [];
    v_post_draws double precision [];
begin
    if p_readers not between 1 and 100000 then
        raise exception 'readers: % is not between 1 and 100000', p_readers using errcode = 'NVI01';
    end if;
    -- Older events are not kept, and what is older may be shown again.
    if p_days not between 1 and 30 then
        raise exception 'days: % is not between 1 and 30', p_days using errcode = 'NVI01';
    end if;

    insert into app.import_clocks (source, is_shifted, shift_seconds, newest_at)
    values ('readers', false, 0, date_trunc('second', p_as_of))
    on conflict do nothing;
    -- Two at once: the second waits here and then finds the first one's readers.
    select newest_at into v_as_of from app.import_clocks where source = 'readers' for update;
    v_opened_at := v_as_of - make_interval(days => p_days);

    if exists (
        select 1
        from app.import_runs
        where
            source = 'readers'
            and options <> v_options
    ) then
        raise exception 'other readers live here; two kinds cannot share their ids'
            using errcode = 'NVI01', hint = 'Start anew with an empty database.';
    end if;

    ---------- what there is to read
    create temporary table read_posts on commit drop as
    select
        posts.id as post_id,
        posts.author_id,
        posts.created_at,
        -- Likes it came with. Those given here would make each run draw differently.
        greatest(
            1,
            coalesce(totals.likes, 0) - (
                select count(*)
                from app.likes
                where
                    likes.item_type = 'post'
                    and likes.item_id = posts.id
                    and not likes.deleted
            )
        )::double precision as points
    from app.posts
    left join app.post_engagement as totals on posts.id = totals.post_id
    where
        posts.id >= app.import_id('hackernews.post', 0)
        and posts.id < app.import_id('hackernews.post', 1000000000)
        and posts.created_at > v_opened_at
        and posts.created_at <= v_as_of;

    if not exists (select 1 from read_posts) then
        raise exception 'no imported post is of the % days before %', p_days, v_as_of
            using errcode = 'NVI01', hint = 'Import Hacker News first, with --shift-to-now.';
    end if;

    v_covered_until := (select max(covers_until) from app.import_runs where source = 'readers');
    insert into app.import_runs (source, files, options, covers_until)
    values ('readers', '{}', v_options, v_as_of)
    returning id into v_run_id;

    with authors as (
        select
            author_id,
            sum(sqrt(points)) as fame
        from read_posts
        group by author_id
    ),

    placed as (
        select
            author_id,
            (sum(fame) over (order by author_id) - fame) / sum(fame) over () as begins_at
        from authors
    )

    select
        array_agg(author_id order by author_id),
        array_agg(begins_at order by author_id)
    into v_author_ids, v_author_draws
    from placed;

    with weighed as (
        select
            post_id,
            -- Front pages are of today and yesterday.
            sqrt(points) * exp(-extract(epoch from v_as_of - created_at) / (2 * 86400)) as pull
        from read_posts
    ),

    placed as (
        select
            post_id,
            (sum(pull) over (order by post_id) - pull) / sum(pull) over () as begins_at
        from weighed
    )

    select
        array_agg(post_id order by post_id),
        array_agg(begins_at order by post_id)
    into v_post_ids, v_post_draws
    from placed;

    ---------- readers
    create temporary table readers on commit drop as
    select
        numbers.reader_number,
        app.import_id('reader', numbers.reader_number) as reader_id
    from generate_series(1, p_readers) as numbers (reader_number);

    insert into app.users (id, username, created_at)
    select
        reader_id,
        format(
            '%s_%s_%s',
            app.generate_pick(
                app.generate_words('adjective'),
                app.generate_random(p_seed, 'reader adjective', reader_number)
            ),
            app.generate_pick(
                app.generate_words('noun'),
                app.generate_random(p_seed, 'reader noun', reader_number)
            ),
            reader_id
        ),
        v_opened_at
    from readers
    order by reader_id
    on conflict do nothing;
    get diagnostics inserted_rows = row_count;
    entity := 'readers';
    read_rows := p_readers;
    return next;

    ---------- whom they block: one in ten, one author
    create temporary table read_blocks on commit drop as
    select
        reader_number,
        reader_id,
        v_author_ids[
            width_bucket(app.generate_random(p_seed, 'blocks', reader_number), v_author_draws)
        ] as author_id
    from readers
    where app.generate_random(p_seed, 'quarrels', reader_number) < 0.1;

    insert into app.blocks (blocker_id, blocked_id, created_at)
    select
        reader_id,
        author_id,
        v_opened_at
    from read_blocks
    order by
        reader_id,
        author_id
    on conflict do nothing;
    get diagnostics inserted_rows = row_count;
    entity := 'blocks';
    read_rows := (select count(*) from read_blocks);
    return next;

    ---------- whom they follow: up to 80 authors, most readers few
    create temporary table read_follows on commit drop as
    select distinct
        drawn.reader_number,
        drawn.reader_id,
        drawn.author_id
    from (
        select
            readers.reader_number,
            readers.reader_id,
            v_author_ids[
                width_bucket(
                    app.generate_random(p_seed, 'follows', readers.reader_number, draws.draw_number),
                    v_author_draws
                )
            ] as author_id
        from readers
        cross join
            lateral generate_series(
                1,
                5 + floor(
                    75 * power(app.generate_random(p_seed, 'sociable', readers.reader_number), 2)
                )::integer
            ) as draws (draw_number)
    ) as drawn
    where not exists (
        select 1
        from read_blocks
        where
            read_blocks.reader_id = drawn.reader_id
            and read_blocks.author_id = drawn.author_id
    );

    insert into app.follows (follower_id, followee_id, created_at)
    select
        reader_id,
        author_id,
        v_opened_at
    from read_follows
    order by
        reader_id,
        author_id
    on conflict do nothing;
    get diagnostics inserted_rows = row_count;
    entity := 'follows';
    read_rows := (select count(*) from read_follows);
    return next;

    ---------- what they were shown, and when
    create temporary table read_exposures on commit drop as
    select
        shown.reader_id,
        shown.post_id,
        shown.is_followed,
        ln(read_posts.points) / ln(1000) as fame,
        date_trunc(
            'second',
            read_posts.created_at + (v_as_of - read_posts.created_at)
            * power(app.generate_random(p_seed, 'delay', shown.reader_id, shown.post_id), 3)
        ) as shown_at
    from (
        select
            exposures.reader_id,
            exposures.post_id,
            bool_or(exposures.is_followed) as is_followed
        from (
            select
                read_follows.reader_id,
                read_posts.post_id,
                true as is_followed
            from read_follows
            inner join read_posts on read_follows.author_id = read_posts.author_id
            where
                app.generate_random(p_seed, 'is there', read_follows.reader_id, read_posts.post_id)
                < 0.3
            union all
            select
                readers.reader_id,
                v_post_ids[
                    width_bucket(
                        app.generate_random(
                            p_seed, 'front page', readers.reader_number, draws.draw_number
                        ),
                        v_post_draws
                    )
                ],
                false
            from readers
            cross join
                lateral generate_series(
                    1,
                    20 + floor(
                        60 * app.generate_random(p_seed, 'curious', readers.reader_number)
                    )::integer
                ) as draws (draw_number)
        ) as exposures
        group by
            exposures.reader_id,
            exposures.post_id
    ) as shown
    inner join read_posts on shown.post_id = read_posts.post_id
    where not exists (
        select 1
        from read_blocks
        where
            read_blocks.reader_id = shown.reader_id
            and read_blocks.author_id = read_posts.author_id
    );

    ---------- what they did about it
    perform app.open_pending_events();
    insert into pending_events (
        position, event_time, user_id, item_type, item_id, action, dwell_ms, device, app_ver
    )
    select
        row_number() over (order by opened.reader_id, opened.post_id, actions.delay),
        least(v_as_of, opened.shown_at + actions.delay),
        opened.reader_id,
        'post',
        opened.post_id,
        actions.action,
        case when actions.action = 'view' then opened.dwell_ms else 0 end,
        'readers',
        '1.0.0'
    from (
        select
            read_exposures.*,
            app.generate_random(p_seed, 'opens', reader_id, post_id)
            < 0.25 + 0.3 * fame + case when is_followed then 0.2 else 0 end as is_opened,
            -- From three seconds to three minutes, most of them short.
            3000 + floor(
                177000 * power(app.generate_random(p_seed, 'dwells', reader_id, post_id), 3)
            )::integer as dwell_ms
        from read_exposures
    ) as opened
    cross join lateral (
        values
        ('impression', interval '0', true),
        ('view', interval '2 seconds', opened.is_opened),
        (
            'like',
            interval '60 seconds',
            opened.is_opened
            and app.generate_random(p_seed, 'like', opened.reader_id, opened.post_id)
            < 0.1 + 0.2 * opened.fame
        ),
        (
            'comment',
            interval '90 seconds',
            opened.is_opened
            and app.generate_random(p_seed, 'comment', opened.reader_id, opened.post_id)
            < 0.02 + 0.06 * opened.fame
        ),
        (
            'share',
            interval '75 seconds',
            opened.is_opened
            and app.generate_random(p_seed, 'share', opened.reader_id, opened.post_id)
            < 0.01 + 0.03 * opened.fame
        )
    ) as actions (action, delay, happened)
    where actions.happened;

    return query
    select
        case recorded.entity
            when 'plays' then 'views'
            else recorded.entity
        end,
        recorded.read_rows,
        recorded.inserted_rows
    from app.import_events(v_covered_until) as recorded;

    perform app.import_close_run(v_run_id);
end;
$$;

comment on function app.generate_readers(bigint, integer, integer, timestamptz) is
'Makes readers of the imported posts: whom they follow and block, what they saw and liked; once.';
