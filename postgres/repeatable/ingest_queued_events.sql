-- ingest_queued_events(): stores the queued events whose item has appeared, and drops those that
-- waited a day or are older than clients may report by now. Says how many of each. Called every few
-- seconds.
--
-- One call looks at `p_look` rows, in the order of their hash from a random place on: a longer
-- queue is seen as a whole soon, and items that never appear are in nobody's way. It takes at most
-- `p_most`. Two calls at once skip each other's rows.
create or replace function app.ingest_queued_events(
    p_look integer default 5000,
    p_most integer default 500,
    out ingested integer,
    out expired integer
)
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_from constant bigint := ((random() - 0.5) * power(2::double precision, 64))::numeric::bigint;
    v_queued app.unknown_item_events[];
    v_events app.events[];
begin
    with gone as (
        select
            idempotent_key,
            event_time
        from app.unknown_item_events
        where received_at < now() - interval '24 hours'
        order by received_at
        limit p_most
        for update skip locked
    )

    delete from app.unknown_item_events as queue
    using gone
    where
        queue.idempotent_key = gone.idempotent_key
        and queue.event_time = gone.event_time;
    get diagnostics expired = row_count;

    with looked_at as materialized (
        select places.*
        from (
            (
                select
                    idempotent_key,
                    event_time,
                    item_type,
                    item_id
                from app.unknown_item_events
                where idempotent_key >= v_from
                order by idempotent_key
                limit p_look
            )
            union all
            (
                select
                    idempotent_key,
                    event_time,
                    item_type,
                    item_id
                from app.unknown_item_events
                where idempotent_key < v_from
                order by idempotent_key
                limit p_look
            )
        ) as places
        limit p_look
    ),

    appeared as materialized (
        select
            looked_at.idempotent_key,
            looked_at.event_time
        from looked_at
        where
            case looked_at.item_type
                when 'video' then exists (
                    select 1 from app.videos where videos.id = looked_at.item_id
                )
                else exists (select 1 from app.posts where posts.id = looked_at.item_id)
            end
        limit p_most
    )

    select array_agg(locked.event order by (locked.event).received_at, (locked.event).event_time)
    into v_queued
    from (
        select queue as event
        from appeared
        inner join app.unknown_item_events as queue
            on
                appeared.idempotent_key = queue.idempotent_key
                and appeared.event_time = queue.event_time
        for update of queue skip locked
    ) as locked;

    ingested := 0;
    if v_queued is null then
        return;
    end if;

    v_events := array(
        select
            app.event_row(
                queue.user_id,
                queue.item_type,
                queue.item_id,
                case queue.item_type
                    when 'video' then (
                        select videos.creator_id
                        from app.videos
                        where videos.id = queue.item_id
                    )
                    else (
                        select posts.author_id
                        from app.posts
                        where posts.id = queue.item_id
                    )
                end,
                queue.action,
                queue.event_time,
                queue.dwell_ms,
                queue.watch_ms,
                queue.completion::numeric,
                queue.device,
                queue.app_ver,
                queue.feed_request_id
            )
        from unnest(v_queued) as queue
        where
            app.is_recent(queue.event_time)
            and app.has_event_partition(queue.event_time)
    );
    ingested := coalesce(cardinality(v_events), 0);
    expired := expired + cardinality(v_queued) - ingested;

    perform app.store_events(v_events);

    delete from app.unknown_item_events as queue
    using unnest(v_queued) as done
    where
        queue.idempotent_key = done.idempotent_key
        and queue.event_time = done.event_time;
end;
$$;

comment on function app.ingest_queued_events(integer, integer) is
'Stores queued events whose item has appeared, drops those that waited a day or are too '
'old (counts).';
