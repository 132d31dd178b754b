-- A comment, with the name its author goes by.
select
    made.comment_id,
    made.created_at,
    made.comment_count,
    made.txid,
    made.changed,
    users.username
from
    app.comment_on_item(
        %(viewer_id)s::bigint,
        %(item_type)s,
        %(item_id)s::bigint,
        %(body)s,
        %(request_key)s
    ) as made
left join app.users on users.id = %(viewer_id)s::bigint
