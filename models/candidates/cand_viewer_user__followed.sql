-- Whom the viewer follows, read in the order of the key: who follows a million is read for no more
-- than the first of them. Each part of the table is read by whole blocks, hence small ones.
select
    followee_id as user_id,
    created_at as followed_at
from {{ source('raw', 'follows_current') }}
where
    follower_id = {{ viewer_id() }}
    and created_at <= {{ as_of() }}
order by
    follower_id,
    followee_id
limit {{ var('suggestion_read_followees_users') }}
settings max_block_size = 1024
