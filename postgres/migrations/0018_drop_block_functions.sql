-- They answer with more columns, and their old signatures would refuse the replacement.
drop function if exists app.block_user(bigint, bigint);
drop function if exists app.unblock_user(bigint, bigint);
