-- import_tiktok_videos: one JSON object per line: creators, sounds, videos, and their counters.
-- Counters are stored with a new video only: afterwards they belong to what happens here.
create or replace function app.import_tiktok_videos(p_run_id bigint, p_file text)
returns table (entity text, read_rows bigint, inserted_rows bigint)
language plpgsql
as $$
begin
    return query
    with parsed as materialized (
        select
            line_number,
            row_at as published_at,
            app.import_id('tiktok.video', fields[1]::bigint) as video_id,
            app.import_id('tiktok.creator', fields[2]::bigint) as creator_id,
            coalesce(fields[3], '') as title,
            fields[5]::integer * 1000 as duration_ms,
            -- Sound 0 is "no sound".
            app.import_id('tiktok.sound', nullif(nullif(fields[6], '')::bigint, 0)) as sound_id,
            coalesce(fields[7], '') as sound_name,
            coalesce(nullif(fields[8], '')::boolean, false) as is_original,
            array(
                select ltrim(hashtag, '#')
                from jsonb_array_elements_text(
                    coalesce(nullif(fields[9], ''), '[]')::jsonb
                ) as hashtag
                where ltrim(hashtag, '#') <> ''
            ) as hashtags,
            fields[10]::bigint as likes,
            fields[11]::bigint as shares,
            fields[12]::bigint as plays,
            fields[13]::bigint as comments
        from import_chunk_rows
    ),

    new_creators as (
        insert into app.users (id, created_at)
        select
            creator_id,
            min(published_at)
        from parsed
        group by creator_id
        order by creator_id
        on conflict do nothing
        returning id
    ),

    new_sounds as (
        insert into app.sounds (id, name, is_original, created_at)
        select distinct on (sound_id)
            sound_id,
            sound_name,
            is_original,
            published_at
        from parsed
        where sound_id is not null
        order by
            sound_id,
            line_number
        on conflict do nothing
        returning id
    ),

    new_videos as (
        insert into app.videos (
            id, creator_id, sound_id, title, hashtags, duration_ms, status, created_at, published_at
        )
        select distinct on (video_id)
            video_id,
            creator_id,
            sound_id,
            title,
            hashtags,
            duration_ms,
            'published',
            published_at,
            published_at
        from parsed
        order by
            video_id,
            line_number
        on conflict do nothing
        returning id
    ),

    new_engagement as (
        insert into app.video_engagement (video_id, views, likes, shares, comments)
        select distinct on (parsed.video_id)
            parsed.video_id,
            parsed.plays,
            parsed.likes,
            parsed.shares,
            parsed.comments
        from parsed
        inner join new_videos on parsed.video_id = new_videos.id
        order by
            parsed.video_id,
            parsed.line_number
        on conflict do nothing
        returning 1
    )

    select
        'creators'::text,
        (select count(distinct creator_id) from parsed),
        (select count(*) from new_creators)
    union all
    select
        'sounds',
        (select count(distinct sound_id) from parsed),
        (select count(*) from new_sounds)
    union all
    select
        'videos',
        (select count(*) from parsed),
        (select count(*) from new_videos)
    union all
    select
        'video_engagement',
        (select count(*) from parsed),
        (select count(*) from new_engagement);
end;
$$;

comment on function app.import_tiktok_videos(bigint, text) is
'Stores creators, sounds, videos and counters of the staged chunk of trending TikTok videos.';
