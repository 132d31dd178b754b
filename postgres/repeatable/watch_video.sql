-- watch_video(viewer, video, watch_ms, …): one playback. Completion is a share from 0 to 1, null
-- when unknown; more than once through counts as once through. Sent again within the same second
-- it changes nothing. `event_time` is when it was, now when null.
create or replace function app.watch_video(
    p_viewer_id bigint,
    p_video_id bigint,
    p_watch_ms integer,
    p_completion double precision default null,
    p_feed_request_id uuid default null,
    p_event_time timestamptz default null,
    p_request_key text default null
)
returns table (view_count bigint, txid bigint, changed jsonb)
language plpgsql
as $$
declare
    v_answer jsonb;
begin
    if (p_watch_ms between 0 and 86400000) is not true then
        perform app.refuse_input('NV400', 'watch_ms', 'must be a whole number from 0 to 86400000');
    elsif p_completion < 0 or p_completion in ('nan', 'infinity') then
        perform app.refuse_input('NV400', 'completion', 'must be a number, and not negative');
    elsif not app.is_timely(p_event_time) then
        perform app.refuse_input('NV400', 'event_time', 'must be at most five minutes ahead');
    elsif not app.is_recent(p_event_time) then
        perform app.refuse_input('NV400', 'event_time', 'must not be older than 30 days');
    elsif not app.has_event_partitions(p_event_time, p_event_time) then
        perform app.refuse_input('NV400', 'event_time', 'must be in a week that has a partition');
    end if;

    v_answer := app.begin_request(
        p_viewer_id,
        'watch_video',
        p_request_key,
        jsonb_build_array(p_video_id, p_watch_ms, p_completion, p_feed_request_id, p_event_time)
    );
    if v_answer is null then
        perform app.record_action(
            p_viewer_id,
            'video',
            p_video_id,
            'view',
            coalesce(p_event_time, clock_timestamp()),
            p_watch_ms => p_watch_ms,
            p_completion => p_completion::numeric,
            p_feed_request_id => p_feed_request_id
        );

        changed := app.changed_items('video', p_video_id);
        v_answer := jsonb_build_object(
            'view_count', changed #> '{0,3}', 'txid', app.current_txid()
        );
        perform app.end_request(p_viewer_id, 'watch_video', p_request_key, v_answer);
    end if;

    view_count := v_answer ->> 'view_count';
    txid := v_answer ->> 'txid';
    changed := coalesce(changed, app.changed_items('video', p_video_id));
    return next;
end;
$$;

comment on function app.watch_video(
    bigint, bigint, integer, double precision, uuid, timestamptz, text
) is 'Records a playback; returns the views of the video (count).';
