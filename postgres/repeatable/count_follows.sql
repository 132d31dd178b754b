-- count_follows(): keeps app.user_totals beside app.follows, once per statement, so that an import
-- of a hundred thousand follows touches each user once.
create or replace function app.count_follows()
returns trigger
language plpgsql
as $$
begin
    case tg_op
        when 'INSERT' then
            perform app.add_follows(array(select row(added.*)::app.follows from added), '{}');
        when 'UPDATE' then
            perform app.add_follows(
                array(select row(added.*)::app.follows from added),
                array(select row(taken.*)::app.follows from taken)
            );
        when 'DELETE' then
            perform app.add_follows('{}', array(select row(taken.*)::app.follows from taken));
    end case;
    return null;
end;
$$;

comment on function app.count_follows() is
'Moves followers and followings of users by what a statement did to app.follows.';

-- Where nobody counted so far, everything is counted once, before anybody can follow on.
do $$
begin
    if not exists (
        select 1
        from pg_trigger
        where
            tgrelid = 'app.follows'::regclass
            and tgname = 'count_inserted_follows'
    ) then
        lock table app.follows in share row exclusive mode;
        delete from app.user_totals;
        insert into app.user_totals (user_id, followers, followings)
        select
            ends.user_id,
            sum(ends.followers),
            sum(ends.followings)
        from (
            select followee_id as user_id, 1 as followers, 0 as followings
            from app.follows
            where not deleted
            union all
            select follower_id, 0, 1
            from app.follows
            where not deleted
        ) as ends
        group by ends.user_id;
    end if;
end;
$$;

create or replace trigger count_inserted_follows
after insert on app.follows
referencing new table as added
for each statement execute function app.count_follows();

create or replace trigger count_updated_follows
after update on app.follows
referencing old table as taken new table as added
for each statement execute function app.count_follows();

create or replace trigger count_deleted_follows
after delete on app.follows
referencing old table as taken
for each statement execute function app.count_follows();
