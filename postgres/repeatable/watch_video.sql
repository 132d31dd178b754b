-- watch_video(viewer, video, watch_ms, completion): one playback. Completion is a share from 0 to
-- 1, null when unknown; more than once through counts as once through. Sent again within the same
-- second it changes nothing. Returns the video's views.
create or replace function app.watch_video(
    p_viewer_id bigint,
    p_video_id bigint,
    p_watch_ms integer,
    p_completion double precision default null,
    p_feed_request_id uuid default null
)
returns bigint
language plpgsql
as $$
begin
    if (p_watch_ms between 0 and 86400000) is not true then
        perform app.refuse_input('NV400', 'watch_ms', 'must be a whole number from 0 to 86400000');
    elsif p_completion < 0 or p_completion = 'nan' then
        perform app.refuse_input('NV400', 'completion', 'must be a number, and not negative');
    end if;

    perform app.record_action(
        p_viewer_id,
        'video',
        p_video_id,
        'view',
        p_watch_ms => p_watch_ms,
        p_completion => p_completion::real,
        p_feed_request_id => p_feed_request_id
    );

    return app.item_count('video', p_video_id, 'views');
end;
$$;

comment on function app.watch_video(bigint, bigint, integer, double precision, uuid) is
'Records a playback; returns the views of the video (count).';
