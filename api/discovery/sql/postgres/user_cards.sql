-- What is shown of the users of a list, and what they are to the viewer by now.
select
    user_id,
    username,
    follower_count,
    is_followed,
    is_blocked,
    videos
from
    app.user_cards(
        %(viewer_id)s::bigint,
        %(ids)s::bigint[],
        %(related_ids)s::bigint[],
        %(previews)s::integer
    )
