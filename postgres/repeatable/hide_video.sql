-- hide_video(viewer, video): "not interested". True when this call hid it, false when it was so.
create or replace function app.hide_video(p_viewer_id bigint, p_video_id bigint)
returns boolean
language sql
as $$
    select app.record_action(p_viewer_id, 'video', p_video_id, 'not_interested')
$$;

comment on function app.hide_video(bigint, bigint) is
'The viewer never sees the video again: true when this call made it so.';
