-- A block ends the follows between two users, and nobody follows across one: but not always did
-- they, and rows of then are still there. Ended like any other follow: the triggers of app.follows
-- give each row a new version, for change capture, and take it from its users' totals.
update app.follows
set deleted = true
where
    not deleted
    and (follower_id, followee_id) in (
        select
            blocker_id,
            blocked_id
        from app.blocks
        where not deleted
        union all
        select
            blocked_id,
            blocker_id
        from app.blocks
        where not deleted
    );
