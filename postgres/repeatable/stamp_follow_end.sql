-- stamp_follow_end(): notes when a follow ended, whatever the statement that ends it says.
create or replace function app.stamp_follow_end()
returns trigger
language plpgsql
as $$
begin
    new.ended_at := now();
    return new;
end;
$$;

comment on function app.stamp_follow_end() is 'Sets ended_at of a follow that ends.';

create or replace trigger stamp_follow_end
before update on app.follows
for each row
when (new.deleted and not old.deleted)
execute function app.stamp_follow_end();
