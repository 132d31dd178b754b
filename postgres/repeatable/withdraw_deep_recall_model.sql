-- withdraw_deep_recall_model(version): nobody computes or serves it any more. The one that is
-- served cannot be withdrawn: another has to take its place first.
create or replace function app.withdraw_deep_recall_model(p_model_version text)
returns void
language plpgsql
as $$
begin
    -- Not while it is being activated.
    perform pg_advisory_xact_lock(hashtext('app.activate_deep_recall_model'));
    if exists (
        select 1
        from app.deep_recall_models as models
        where models.model_version = p_model_version and models.active
    ) then
        perform app.refuse_input('NV400', 'model_version', 'is served: activate another first');
    end if;
    update app.deep_recall_models as models
    set deleted = true
    where models.model_version = p_model_version and not models.deleted;
    if not found then
        perform app.refuse_input('NV404', 'model_version', 'is not registered');
    end if;
end;
$$;

comment on function app.withdraw_deep_recall_model(text) is
'Takes a version of embeddings back that is not served; its row stays for readers of changes.';
