-- list_comments(type, id, before_created_at, before_id, limit): a page of comments, newest first,
-- strictly older than the given one; from the newest on when that is null.
create or replace function app.list_comments(
    p_item_type text,
    p_item_id bigint,
    p_before_created_at timestamptz,
    p_before_id bigint,
    p_limit integer
)
returns table (
    comment_id bigint,
    user_id bigint,
    username text,
    body text,
    created_at timestamptz
)
language plpgsql
stable
set enable_seqscan = off
set enable_sort = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    perform app.require_item(p_item_type, p_item_id);

    return query
    select
        comments.id,
        comments.user_id,
        case when not users.deleted then users.username end,
        comments.body,
        comments.created_at
    from app.comments
    inner join app.users on comments.user_id = users.id
    where
        comments.item_type = p_item_type
        and comments.item_id = p_item_id
        and not comments.deleted
        and (comments.created_at, comments.id) < (
            coalesce(p_before_created_at, 'infinity'), coalesce(p_before_id, 9223372036854775807)
        )
    order by
        comments.created_at desc,
        comments.id desc
    limit greatest(0, least(p_limit, 200));
end;
$$;

comment on function app.list_comments(text, bigint, timestamptz, bigint, integer) is
'One row per comment on a video or post, newest first, older than the given one, at most 200; the '
'name is null when never given and when the account was deleted.';
