-- A page of comments, newest first, behind a place.
select
    comment_id,
    user_id,
    username,
    body,
    created_at
from
    app.list_comments(
        %(item_type)s,
        %(item_id)s::bigint,
        %(before_created_at)s::timestamptz,
        %(before_id)s::bigint,
        %(limit)s::integer
    )
