-- When a follow ended: followers lost in a day are those whose follow ended in it. And who is gone.
alter table raw.follows ${on_cluster}
add column if not exists ended_at DateTime64(3, 'UTC')
comment -- noqa: PRS
'When the follow last ended (UTC), also after it was made again; 1970-01-01 for never'
after created_at;

create view if not exists raw.follows_ever ${on_cluster} (
    follower_id UInt64 comment 'Who follows, or did; key',
    followee_id UInt64 comment 'Who is followed, or was; key',
    created_at DateTime64(3, 'UTC') comment 'When the follow was last made (UTC)',
    ended_at DateTime64(3, 'UTC') comment 'When it last ended (UTC), 1970-01-01 for never',
    is_standing Bool comment 'True while it stands'
)
as
select
    follower_id,
    followee_id,
    created_at,
    ended_at,
    not deleted as is_standing
from raw.follows final
comment 'One row per follower and followee, follows that stand and, for 365 days, those that ended.';

-- What is made of follows or of events must leave them out: both outlive the account.
create view if not exists raw.users_deleted ${on_cluster} (
    user_id UInt64 comment 'Person; key'
)
as
select user_id
from raw.users final
where deleted
comment 'One row per user who was deleted, for 365 days.';
