-- require_item(type, id): refuses what is not there, or no longer (NV404).
create or replace function app.require_item(p_item_type text, p_item_id bigint)
returns void
language plpgsql
stable
as $$
begin
    case p_item_type
        when 'video' then
            perform 1 from app.videos where id = p_item_id and not deleted;
        when 'post' then
            perform 1 from app.posts where id = p_item_id and not deleted;
        else
            perform app.refuse_input('NV400', 'item_type', 'must be video or post');
    end case;

    if not found then
        perform app.refuse_input(
            'NV404', p_item_type || '_id', format('names no %s: %s', p_item_type, p_item_id)
        );
    end if;
end;
$$;

comment on function app.require_item(text, bigint) is
'Raises NV404 unless the video or post exists and is not deleted.';
