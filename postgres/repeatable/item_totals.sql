-- item_totals(type, ids): the running totals of items, as one row each; zeros, and version 0, for
-- what nobody acted on. `txid` is the transaction that last moved them.
create or replace function app.item_totals(p_item_type text, p_item_ids bigint[])
returns table (
    item_type text,
    item_id bigint,
    version bigint,
    views bigint,
    likes bigint,
    shares bigint,
    comments bigint,
    exposures bigint,
    dwell_ms bigint,
    txid bigint
)
language plpgsql
stable
as $$
begin
    if p_item_type = 'video' then
        return query
        select
            p_item_type,
            items.id,
            coalesce(totals._version, 0),
            coalesce(totals.views, 0),
            coalesce(totals.likes, 0),
            coalesce(totals.shares, 0),
            coalesce(totals.comments, 0),
            0::bigint,
            0::bigint,
            coalesce(totals._txid, 0)
        from (select distinct unnest(p_item_ids) as id) as items
        left join app.video_engagement as totals on items.id = totals.video_id
        where items.id is not null;
    elsif p_item_type = 'post' then
        return query
        select
            p_item_type,
            items.id,
            coalesce(totals._version, 0),
            coalesce(totals.views, 0),
            coalesce(totals.likes, 0),
            coalesce(totals.shares, 0),
            coalesce(totals.comments, 0),
            coalesce(totals.exposures, 0),
            coalesce(totals.dwell_ms, 0),
            coalesce(totals._txid, 0)
        from (select distinct unnest(p_item_ids) as id) as items
        left join app.post_engagement as totals on items.id = totals.post_id
        where items.id is not null;
    else
        perform app.refuse_input('NV400', 'item_type', 'must be video or post');
    end if;
end;
$$;

comment on function app.item_totals(text, bigint[]) is
'One row per video or post asked for: its running totals (counts, milliseconds), their '
'version, and the transaction that last moved them.';
