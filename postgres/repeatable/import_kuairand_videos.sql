-- import_kuairand_videos: video_features_basic_*: creators, sounds and videos. The file has a day
-- of upload and no time; a video counts as published when its day began.
create or replace function app.import_kuairand_videos(p_run_id bigint, p_file text)
returns table (entity text, read_rows bigint, inserted_rows bigint)
language plpgsql
as $$
begin
    return query
    with parsed as materialized (
        select
            line_number,
            row_at as published_at,
            app.import_id('kuairand.video', fields[1]::bigint) as video_id,
            app.import_id('kuairand.creator', fields[2]::bigint) as creator_id,
            -- Music 0 is "no music".
            app.import_id('kuairand.sound', nullif(nullif(fields[10], '')::bigint, 0)) as sound_id,
            coalesce(nullif(fields[7], '')::numeric::integer, 0) as duration_ms,
            nullif(split_part(fields[12], ',', 1), '') as category
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
        insert into app.sounds (id, created_at)
        select
            sound_id,
            min(published_at)
        from parsed
        where sound_id is not null
        group by sound_id
        order by sound_id
        on conflict do nothing
        returning id
    ),

    new_videos as (
        insert into app.videos (
            id, creator_id, sound_id, category, duration_ms, status, created_at, published_at
        )
        select distinct on (video_id)
            video_id,
            creator_id,
            sound_id,
            category,
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
        (select count(*) from new_videos);
end;
$$;

comment on function app.import_kuairand_videos(bigint, text) is
'Stores creators, sounds and videos of the staged chunk of KuaiRand''s video features.';
