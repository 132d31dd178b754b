-- require_other_user(viewer, other, field): the viewer becomes known with the first thing they do;
-- the other one must exist (NV404), still (NV410), and be somebody else (NV400).
create or replace function app.require_other_user(
    p_viewer_id bigint,
    p_other_id bigint,
    p_field text
)
returns void
language plpgsql
as $$
declare
    v_is_deleted boolean;
begin
    if p_viewer_id = p_other_id then
        perform app.refuse_input('NV400', p_field, 'must be somebody else');
    end if;

    select deleted into v_is_deleted
    from app.users
    where id = p_other_id;

    if not found then
        perform app.refuse_input('NV404', p_field, format('names no user: %s', p_other_id));
    elsif v_is_deleted then
        perform app.refuse_input(
            'NV410', p_field, format('names a user who was deleted: %s', p_other_id)
        );
    end if;

    perform app.know_user(p_viewer_id);
end;
$$;

comment on function app.require_other_user(bigint, bigint, text) is
'Makes the viewer known; raises NV404, NV410 or NV400 unless the other user is there and another.';
