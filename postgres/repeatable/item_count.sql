-- item_count(type, id, what): one running total of an item; 0 before anybody acted on it.
create or replace function app.item_count(p_item_type text, p_item_id bigint, p_what text)
returns bigint
language plpgsql
stable
as $$
declare
    v_totals jsonb;
begin
    if p_item_type = 'video' then
        select to_jsonb(totals) into v_totals
        from app.video_engagement as totals
        where totals.video_id = p_item_id;
    else
        select to_jsonb(totals) into v_totals
        from app.post_engagement as totals
        where totals.post_id = p_item_id;
    end if;

    return coalesce((v_totals ->> p_what)::bigint, 0);
end;
$$;

comment on function app.item_count(text, bigint, text) is
'Views, likes, shares or comments of a video or post (count).';
