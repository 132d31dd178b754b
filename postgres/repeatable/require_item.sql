-- require_item(type, id): refuses what never was (NV404) or is no longer (NV410); gives the author.
create or replace function app.require_item(p_item_type text, p_item_id bigint)
returns bigint
language plpgsql
stable
as $$
declare
    v_author_id bigint;
    v_is_deleted boolean;
begin
    case p_item_type
        when 'video' then
            select creator_id, deleted into v_author_id, v_is_deleted
            from app.videos
            where id = p_item_id;
        when 'post' then
            select author_id, deleted into v_author_id, v_is_deleted
            from app.posts
            where id = p_item_id;
        else
            perform app.refuse_input('NV400', 'item_type', 'must be video or post');
    end case;

    if v_author_id is null then
        perform app.refuse_input(
            'NV404', p_item_type || '_id', format('names no %s: %s', p_item_type, p_item_id)
        );
    elsif v_is_deleted then
        perform app.refuse_input(
            'NV410',
            p_item_type || '_id',
            format('names a %s that was deleted: %s', p_item_type, p_item_id)
        );
    end if;

    return v_author_id;
end;
$$;

comment on function app.require_item(text, bigint) is
'Creator or author of a live video or post; raises NV404 or NV410 when it is not there.';
