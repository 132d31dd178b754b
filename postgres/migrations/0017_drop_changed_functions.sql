-- The functions behind the write endpoints answer with more columns, and some take more: their
-- old signatures would refuse the replacement, or stay beside it.
drop function if exists app.ingest_events(bigint, jsonb);
drop function if exists app.event_problem(jsonb);
drop function if exists app.like_item(bigint, text, bigint);
drop function if exists app.unlike_item(bigint, text, bigint);
drop function if exists app.react_to_item(bigint, text, bigint, text);
drop function if exists app.watch_video(bigint, bigint, integer, double precision, uuid);
drop function if exists app.share_item(bigint, text, bigint);
drop function if exists app.comment_on_item(bigint, text, bigint, text);
drop function if exists app.delete_comment(bigint, bigint);
drop function if exists app.hide_video(bigint, bigint);
drop function if exists app.follow_user(bigint, bigint);
drop function if exists app.unfollow_user(bigint, bigint);
drop function if exists app.block_user(bigint, bigint);
drop function if exists app.unblock_user(bigint, bigint);
drop function if exists app.create_post(bigint, text, text[]);
drop function if exists app.delete_post(bigint, bigint);
drop function if exists app.item_count(text, bigint, text);
drop function if exists app.require_item(text, bigint);
drop function if exists app.require_other_user(bigint, bigint, text);
drop function if exists app.record_action(
    bigint, text, bigint, text, timestamptz, integer, real, uuid
);
drop function if exists app.record_comment_event(bigint, text, bigint, text);
drop function if exists app.record_events();
drop function if exists app.settle_pending_reactions();
drop function if exists app.refuse_unknown_items();
