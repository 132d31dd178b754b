-- Playbacks, all or nothing; clients give completion in percent.
with

watches as (

    select
        jsonb_agg(
            items.watch || jsonb_build_object(
                'completion', (items.watch ->> 'completion_percent')::numeric / 100
            )
            order by items.ordinal
        ) as batch
    from jsonb_array_elements(%(watches)s::jsonb) with ordinality as items (watch, ordinal)

)

select
    received,
    deduped,
    txid,
    changed
from
    app.watch_videos(
        %(viewer_id)s::bigint,
        (select coalesce(batch, '[]') from watches),
        %(request_key)s
    )
