-- Fails with what must not be in a posts feed: seen, unwanted, own, blocked, deleted or repeated
-- posts, and authors too near to themselves. Every build looks at a few viewers;
-- `dbt test -s assert_posts_feeds_obey_their_rules --vars '{checked_viewers: 1000}'` at more.
-- depends_on: {{ ref('feed__posts') }}
select
    entry.1 as viewer_id,
    entry.2 as problem,
    entry.3 as post_id
from (
    select arrayJoin({{ broken_posts_feeds(var('checked_viewers', 5)) }}) as entry
) as problems
