-- generate_sample_world(seed, users, creators, videos, days, as_of): a small world to look at
-- before there is a real one. The same seed and sizes make the same people, videos and tastes;
-- `as_of` is when it all ends, and is kept from the first run on: run again, it adds nothing.
--
-- Viewers are 1 to `users`, creators follow from 1001, videos and sounds from 1.
--
-- * A few creators make most videos and get most views; each has a main topic and a second one.
-- * A viewer loves three topics, more or less; follows, views, completion and likes depend on it.
-- * Ages lean towards now, so that the last hour has something too.
-- * Actions are recorded through app.record_events: counters and dedup are the API's.
create or replace function app.generate_sample_world(
    p_seed bigint default 42,
    p_users integer default 300,
    p_creators integer default 60,
    p_videos integer default 2000,
    p_days integer default 30,
    p_as_of timestamptz default now()
)
returns table (entity text, read_rows bigint, inserted_rows bigint)
language plpgsql
set work_mem = '64MB'
as $$
declare
    c_first_creator constant bigint := 1000;
    c_songs constant integer := 40;
    v_options constant jsonb := jsonb_build_object(
        'seed', p_seed, 'users', p_users, 'creators', p_creators, 'videos', p_videos, 'days', p_days
    );
    v_as_of timestamptz;
    v_opened_at timestamptz;
    v_run_id bigint;
    v_covered_until timestamptz;
begin
    if p_users not between 1 and 1000 then
        raise exception 'users: % is not between 1 and 1000, where creators begin', p_users;
    end if;
    if least(p_creators, p_videos, p_days) < 1 then
        raise exception 'creators, videos and days must be at least 1';
    end if;

    insert into app.import_clocks (source, is_shifted, shift_seconds, newest_at)
    values ('sample', false, 0, date_trunc('second', p_as_of))
    on conflict do nothing;
    -- Two at once: the second waits here and then finds the first one's world.
    select newest_at into v_as_of from app.import_clocks where source = 'sample' for update;
    v_opened_at := v_as_of - make_interval(days => p_days);

    if exists (
        select 1
        from app.import_runs
        where
            source = 'sample'
            and options <> v_options
    ) then
        raise exception 'another sample world lives here; two cannot share their ids'
            using errcode = 'NVI01', hint = 'Start anew with an empty database.';
    end if;
    v_covered_until := (select max(covers_until) from app.import_runs where source = 'sample');
    insert into app.import_runs (source, files, options, covers_until)
    values ('sample', '{}', v_options, v_as_of)
    returning id into v_run_id;

    ---------- people
    create temporary table world_creators on commit drop as
    with drawn as (
        select
            numbers.creator_number,
            numbers.creator_number + c_first_creator as creator_id,
            -- Popularity by place: the first creator is worth forty of the last.
            1.0 / power(numbers.creator_number, 0.9) as popularity,
            1 + floor(
                12 * app.generate_random(p_seed, 'main topic', numbers.creator_number)
            )::integer as main_topic,
            1 + floor(
                12 * app.generate_random(p_seed, 'second topic', numbers.creator_number)
            )::integer as second_topic,
            app.generate_pick(
                app.generate_words('first_name'),
                app.generate_random(p_seed, 'creator name', numbers.creator_number)
            ) as first_name
        from generate_series(1, p_creators) as numbers (creator_number)
    )

    select
        drawn.*,
        format('%s.%s.%s', drawn.first_name, topics.topic, drawn.creator_number) as username,
        -- Where this creator's share of all videos begins and ends.
        (sum(drawn.popularity) over (order by drawn.creator_number) - drawn.popularity)
        / sum(drawn.popularity) over () as share_from,
        sum(drawn.popularity) over (order by drawn.creator_number)
        / sum(drawn.popularity) over () as share_to
    from drawn
    inner join app.generate_topics() as topics on drawn.main_topic = topics.topic_number;

    create temporary table world_tastes on commit drop as
    select
        ranked.viewer_id,
        ranked.topic_number,
        case ranked.place
            when 1 then 1.0
            when 2 then 0.8
            when 3 then 0.6
            else 0.15
        end as taste
    from (
        select
            viewers.viewer_id,
            topics.topic_number,
            row_number() over (
                partition by viewers.viewer_id
                order by
                    app.generate_random(p_seed, 'taste', viewers.viewer_id, topics.topic_number)
            ) as place
        from generate_series(1, p_users) as viewers (viewer_id)
        cross join app.generate_topics() as topics
    ) as ranked;

    insert into app.users (id, username, created_at)
    select
        people.user_id,
        people.username,
        v_opened_at - make_interval(
            days => floor(300 * app.generate_random(p_seed, 'joined', people.user_id))::integer
        )
    from (
        select
            viewers.viewer_id as user_id,
            format(
                '%s_%s_%s',
                app.generate_pick(
                    app.generate_words('adjective'),
                    app.generate_random(p_seed, 'viewer adjective', viewers.viewer_id)
                ),
                app.generate_pick(
                    app.generate_words('noun'),
                    app.generate_random(p_seed, 'viewer noun', viewers.viewer_id)
                ),
                viewers.viewer_id
            ) as username
        from generate_series(1, p_users) as viewers (viewer_id)
        union all
        select
            world_creators.creator_id,
            world_creators.username
        from world_creators
    ) as people
    order by people.user_id
    on conflict do nothing;
    get diagnostics inserted_rows = row_count;
    entity := 'users';
    read_rows := p_users + p_creators;
    return next;

    ---------- who follows whom: 4 to 20 creators, by popularity and taste
    insert into app.follows (follower_id, followee_id, created_at)
    select
        ranked.viewer_id,
        ranked.creator_id,
        v_opened_at + (v_as_of - v_opened_at)
        * app.generate_random(p_seed, 'followed at', ranked.viewer_id, ranked.creator_id)
    from (
        select
            tastes.viewer_id,
            creators.creator_id,
            -- Smallest -ln(u)/weight first: a draw without replacement, by weight.
            row_number() over (
                partition by tastes.viewer_id
                order by
                    -ln(
                        1 - app.generate_random(
                            p_seed, 'follows', tastes.viewer_id, creators.creator_id
                        )
                    )
                    / (tastes.taste * sqrt(creators.popularity))
            ) as place
        from world_tastes as tastes
        inner join world_creators as creators on tastes.topic_number = creators.main_topic
    ) as ranked
    where
        ranked.place
        <= 4 + floor(
            17 * power(app.generate_random(p_seed, 'follow count', ranked.viewer_id), 2)
        )
    order by
        ranked.viewer_id,
        ranked.creator_id
    on conflict do nothing;
    get diagnostics inserted_rows = row_count;
    entity := 'follows';
    read_rows := (
        select count(*)
        from app.follows
        where follower_id between 1 and p_users
    );
    return next;

    ---------- sounds: a catalogue of songs, and each creator's own voice
    insert into app.sounds (id, name, is_original, created_at)
    select
        songs.song_number,
        initcap(
            app.generate_pick(
                app.generate_words('adjective'),
                app.generate_random(p_seed, 'song adjective', songs.song_number)
            )
            || ' '
            || app.generate_pick(
                app.generate_words('noun'),
                app.generate_random(p_seed, 'song noun', songs.song_number)
            )
        ),
        false,
        v_opened_at
    from generate_series(1, c_songs) as songs (song_number)
    union all
    select
        c_songs + world_creators.creator_number,
        'original sound - ' || world_creators.username,
        true,
        v_opened_at
    from world_creators
    order by 1
    on conflict do nothing;
    get diagnostics inserted_rows = row_count;
    entity := 'sounds';
    read_rows := c_songs + p_creators;
    return next;

    ---------- videos
    create temporary table world_videos on commit drop as
    with drawn as (
        select
            numbers.video_id,
            creators.creator_id,
            creators.creator_number,
            creators.popularity,
            case
                when app.generate_random(p_seed, 'on topic', numbers.video_id) < 0.75
                    then creators.main_topic
                else creators.second_topic
            end as topic_number,
            app.generate_random(p_seed, 'quality', numbers.video_id) as quality,
            -- Between 7 and 90 seconds, most of them short.
            7000 + floor(
                83000 * power(app.generate_random(p_seed, 'length', numbers.video_id), 2)
            )::integer as duration_ms,
            -- One in four is from the last three days, one in sixty from the last hour.
            date_trunc(
                'second',
                v_as_of - (v_as_of - v_opened_at)
                * power(app.generate_random(p_seed, 'age', numbers.video_id), 1.6)
            ) as published_at,
            app.generate_random(p_seed, 'sound', numbers.video_id) as sound_draw,
            app.generate_random(p_seed, 'unfinished', numbers.video_id) >= 0.01 as is_published
        from generate_series(1, p_videos) as numbers (video_id)
        inner join world_creators as creators
            on
                app.generate_random(p_seed, 'creator', numbers.video_id) >= creators.share_from
                and app.generate_random(p_seed, 'creator', numbers.video_id) < creators.share_to
    )

    select
        drawn.*,
        topics.topic,
        app.generate_pick(
            topics.subjects, app.generate_random(p_seed, 'subject', drawn.video_id)
        ) as subject
    from drawn
    inner join app.generate_topics() as topics on drawn.topic_number = topics.topic_number;

    insert into app.videos (
        id, creator_id, sound_id, category, title, description, hashtags, duration_ms, status,
        created_at, published_at
    )
    select
        videos.video_id,
        videos.creator_id,
        case
            -- Six in ten use a song, and the first songs far more than the last.
            when videos.sound_draw < 0.6
                then 1 + floor(c_songs * power(videos.sound_draw / 0.6, 2.5))::integer
            when videos.sound_draw < 0.85 then c_songs + videos.creator_number
        end,
        videos.topic,
        upper(left(titles.title, 1)) || substr(titles.title, 2),
        '',
        array[
            videos.topic,
            regexp_replace(lower(videos.subject), '[^a-z0-9]', '', 'g'),
            app.generate_pick(
                app.generate_words('hashtag'),
                app.generate_random(p_seed, 'hashtag', videos.video_id)
            )
        ],
        videos.duration_ms,
        case when videos.is_published then 'published' else 'processing' end,
        videos.published_at - interval '5 minutes',
        case when videos.is_published then videos.published_at end
    from world_videos as videos
    cross join lateral (
        select format(
            app.generate_pick(
                app.generate_words('title'),
                app.generate_random(p_seed, 'title', videos.video_id)
            ),
            videos.subject
        ) as title
    ) as titles
    order by videos.video_id
    on conflict do nothing;
    get diagnostics inserted_rows = row_count;
    entity := 'videos';
    read_rows := p_videos;
    return next;

    ---------- who saw what: each viewer 50 to 200 videos, by taste, follows, popularity and quality
    create temporary table world_watches on commit drop as
    select
        ranked.*,
        date_trunc(
            'second',
            ranked.published_at + (v_as_of - ranked.published_at)
            * power(
                app.generate_random(p_seed, 'watch delay', ranked.viewer_id, ranked.video_id), 1.3
            )
        ) as watched_at,
        -- Liking the topic and a good video keep people to the end; one in eight does not start.
        greatest(
            0.02,
            0.45 * ranked.taste + 0.35 * ranked.quality
            + 0.5 * app.generate_random(p_seed, 'mood', ranked.viewer_id, ranked.video_id) - 0.15
        ) as watched_share,
        app.generate_random(p_seed, 'starts', ranked.viewer_id, ranked.video_id)
        < 0.88 as is_started
    from (
        select
            tastes.viewer_id,
            tastes.taste,
            videos.video_id,
            videos.creator_id,
            videos.quality,
            videos.duration_ms,
            videos.published_at,
            row_number() over (
                partition by tastes.viewer_id
                order by
                    -ln(
                        1 - app.generate_random(
                            p_seed, 'sees', tastes.viewer_id, videos.video_id
                        )
                    )
                    / (
                        tastes.taste
                        * (0.1 + power(videos.quality, 2))
                        * (0.5 + videos.popularity)
                        * case when follows.followee_id is null then 1 else 2 end
                    )
            ) as place
        from world_tastes as tastes
        inner join world_videos as videos on tastes.topic_number = videos.topic_number
        left join app.follows
            on
                tastes.viewer_id = follows.follower_id
                and videos.creator_id = follows.followee_id
        where videos.is_published
    ) as ranked
    where
        ranked.place
        <= 50 + floor(150 * power(app.generate_random(p_seed, 'activity', ranked.viewer_id), 1.5));

    perform app.open_pending_events();
    insert into pending_events (
        position, event_time, user_id, item_type, item_id, action, dwell_ms, watch_ms, completion,
        device, app_ver
    )
    select
        watches.viewer_id,
        least(v_as_of, watches.watched_at + actions.delay),
        watches.viewer_id,
        'video',
        watches.video_id,
        actions.action,
        0,
        case
            when actions.action = 'view'
                then (watches.watched_share * watches.duration_ms)::integer
            else 0
        end,
        case when actions.action = 'view' then least(1, watches.watched_share) end,
        'sample',
        '1.0.0'
    from world_watches as watches
    cross join lateral (
        values
        ('impression', interval '0', true),
        ('view', interval '0', watches.is_started),
        (
            'like',
            interval '6 seconds',
            watches.is_started
            and app.generate_random(p_seed, 'like', watches.viewer_id, watches.video_id)
            < 0.4 * watches.taste * power(least(1, watches.watched_share), 2)
        ),
        (
            'comment',
            interval '20 seconds',
            watches.is_started
            and app.generate_random(p_seed, 'comment', watches.viewer_id, watches.video_id)
            < 0.05 * watches.taste * least(1, watches.watched_share)
        ),
        (
            'share',
            interval '9 seconds',
            watches.is_started
            and app.generate_random(p_seed, 'share', watches.viewer_id, watches.video_id)
            < 0.03 * watches.taste * watches.quality
        ),
        (
            'not_interested',
            interval '2 seconds',
            watches.taste < 0.5
            and app.generate_random(p_seed, 'hides', watches.viewer_id, watches.video_id)
            < 0.01
        )
    ) as actions (action, delay, happened)
    where actions.happened;

    ---------- what the comments say
    insert into app.comments (id, user_id, item_type, item_id, body, created_at)
    select
        row_number() over (order by pending_events.user_id, pending_events.item_id),
        pending_events.user_id,
        'video',
        pending_events.item_id,
        app.generate_pick(
            app.generate_words('comment'),
            app.generate_random(p_seed, 'says', pending_events.user_id, pending_events.item_id)
        ),
        pending_events.event_time
    from pending_events
    where pending_events.action = 'comment'
    on conflict do nothing;

    return query select * from app.import_events(v_covered_until);

    perform app.import_close_run(v_run_id);
end;
$$;

comment on function app.generate_sample_world(
    bigint, integer, integer, integer, integer, timestamptz
) is
'Makes people, sounds, videos, follows and events of a small believable world; once.';
