-- changed_item(...): the totals of one item as the API keeps them, `[item_type, item_id, version,
-- views, likes, shares, comments, exposures, dwell_ms]`. A list of these is the column `changed` of
-- every function that writes; the larger version of an item is the newer one.
create or replace function app.changed_item(
    p_item_type text,
    p_item_id bigint,
    p_version bigint,
    p_views bigint,
    p_likes bigint,
    p_shares bigint,
    p_comments bigint,
    p_exposures bigint,
    p_dwell_ms bigint
)
returns jsonb
language sql
stable
parallel safe
return jsonb_build_array(
    p_item_type, p_item_id, p_version, p_views, p_likes, p_shares, p_comments, p_exposures,
    p_dwell_ms
);

comment on function app.changed_item(
    text, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint
) is 'Totals of a video or post as a list, for the column `changed`.';

-- changed_items(type, ids…): the same of items, read now; what a call on them answers with, also
-- when it moved nothing, so that a retry repairs a cache.
create or replace function app.changed_items(p_item_type text, variadic p_item_ids bigint[])
returns jsonb
language sql
stable
as $$
    select
        coalesce(
            jsonb_agg(
                app.changed_item(
                    totals.item_type,
                    totals.item_id,
                    totals.version,
                    totals.views,
                    totals.likes,
                    totals.shares,
                    totals.comments,
                    totals.exposures,
                    totals.dwell_ms
                )
            ),
            '[]'
        )
    from app.item_totals(p_item_type, p_item_ids) as totals
$$;

comment on function app.changed_items(text, bigint[]) is
'Current totals of videos or posts, as a list, for the column `changed`.';
