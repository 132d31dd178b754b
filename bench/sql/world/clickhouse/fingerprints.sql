-- One row per table that both databases hold: its rows and a sum over them that depends on every
-- column. Its twin is in postgres/fingerprints.sql.
with

line -> reinterpretAsUInt32(reverse(substring(MD5(line), 1, 4))) as first_of_md5

select
    'users' as table_name,
    count() as row_count,
    sum(
        first_of_md5(
            concatWithSeparator(
                '|', user_id, username, toUnixTimestamp64Milli(created_at), _version
            )
        )
    ) as checksum
from raw.users_current

union all

select
    'videos' as table_name,
    count() as row_count,
    sum(
        first_of_md5(
            concatWithSeparator(
                '|',
                video_id,
                creator_id,
                category,
                title,
                arrayStringConcat(hashtags, ','),
                duration_ms,
                status,
                toUnixTimestamp64Milli(created_at),
                toUnixTimestamp64Milli(published_at),
                _version
            )
        )
    ) as checksum
from raw.videos_current

union all

select
    'video_engagement' as table_name,
    count() as row_count,
    sum(
        first_of_md5(
            concatWithSeparator(
                '|',
                video_id,
                views,
                toInt64(floor(completions * 1000)),
                watch_ms,
                likes,
                shares,
                comments,
                _version
            )
        )
    ) as checksum
from raw.video_engagement_current

union all

select
    'follows' as table_name,
    count() as row_count,
    sum(
        (
            follower_id * 31 + followee_id * 17 + toUnixTimestamp64Milli(created_at) + _version
        ) % 1000000007
    ) as checksum
from raw.follows_current

union all

select
    'blocks' as table_name,
    count() as row_count,
    sum(
        (
            blocker_id * 31 + blocked_id * 17 + toUnixTimestamp64Milli(created_at) + _version
        ) % 1000000007
    ) as checksum
from raw.blocks_current

union all

select
    'not_interested' as table_name,
    count() as row_count,
    sum(
        (
            user_id * 31 + video_id * 17 + toUnixTimestamp64Milli(created_at) + _version
        ) % 1000000007
    ) as checksum
from raw.not_interested_current
