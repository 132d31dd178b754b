-- Some answer with more columns, some take more: their old signatures would refuse the replacement,
-- or stay beside it.
drop function if exists app.block_user(bigint, bigint);
drop function if exists app.unblock_user(bigint, bigint);
drop function if exists app.watch_videos(bigint, jsonb);
drop function if exists app.changed_items(text, bigint);
drop function if exists app.item_totals(text, bigint[]);
