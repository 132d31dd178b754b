-- One row per table that both databases hold: its rows and a sum over them that depends on every
-- column. Its twin is in clickhouse/fingerprints.sql.
select
    'users' as table_name,
    count(*) as row_count,
    sum(
        ('x' || left(md5(concat_ws(
            '|', id, username, floor(extract(epoch from created_at) * 1000)::bigint, _version
        )), 8))::bit(32)::bigint
    )::bigint as checksum
from app.users
where not deleted

union all

select
    'videos' as table_name,
    count(*) as row_count,
    sum(
        ('x' || left(md5(concat_ws(
            '|',
            id,
            creator_id,
            category,
            title,
            array_to_string(hashtags, ','),
            duration_ms,
            status,
            floor(extract(epoch from created_at) * 1000)::bigint,
            coalesce(floor(extract(epoch from published_at) * 1000)::bigint, 0),
            _version
        )), 8))::bit(32)::bigint
    )::bigint as checksum
from app.videos
where not deleted

union all

select
    'video_engagement' as table_name,
    count(*) as row_count,
    sum(
        ('x' || left(md5(concat_ws(
            '|',
            video_id,
            views,
            floor(completions * 1000)::bigint,
            watch_ms,
            likes,
            shares,
            comments,
            _version
        )), 8))::bit(32)::bigint
    )::bigint as checksum
from app.video_engagement

union all

select
    'follows' as table_name,
    count(*) as row_count,
    sum(mod(
        follower_id * 31 + followee_id * 17
        + floor(extract(epoch from created_at) * 1000)::bigint + _version,
        1000000007
    ))::bigint as checksum
from app.follows
where not deleted

union all

select
    'blocks' as table_name,
    count(*) as row_count,
    sum(mod(
        blocker_id * 31 + blocked_id * 17
        + floor(extract(epoch from created_at) * 1000)::bigint + _version,
        1000000007
    ))::bigint as checksum
from app.blocks
where not deleted

union all

select
    'not_interested' as table_name,
    count(*) as row_count,
    sum(mod(
        user_id * 31 + video_id * 17
        + floor(extract(epoch from created_at) * 1000)::bigint + _version,
        1000000007
    ))::bigint as checksum
from app.not_interested
where not deleted
