-- hide_video(viewer, video): "not interested"; again changes nothing.
create or replace function app.hide_video(p_viewer_id bigint, p_video_id bigint)
returns table (hidden boolean, txid bigint, changed jsonb)
language plpgsql
as $$
begin
    perform app.record_action(p_viewer_id, 'video', p_video_id, 'not_interested');
    return query select true, app.current_txid(), '[]'::jsonb;
end;
$$;

comment on function app.hide_video(bigint, bigint) is
'The viewer never sees the video again; returns whether it is hidden now.';
