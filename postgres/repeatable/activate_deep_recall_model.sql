-- activate_deep_recall_model(version): from now on feeds and similar videos use this version, and
-- no other; null turns embeddings off. Both rows change in one transaction, so change capture lands
-- them together.
create or replace function app.activate_deep_recall_model(p_model_version text)
returns table (model_version text, txid bigint)
language plpgsql
as $$
begin
    -- One switch at a time: two at once would both find no other active.
    perform pg_advisory_xact_lock(hashtext('app.activate_deep_recall_model'));
    if p_model_version is not null and not exists (
        select 1
        from app.deep_recall_models as models
        where models.model_version = p_model_version and not models.deleted
    ) then
        perform app.refuse_input('NV404', 'model_version', 'is not registered');
    end if;
    update app.deep_recall_models as models
    set active = false
    where models.active and models.model_version is distinct from p_model_version;
    update app.deep_recall_models as models
    set
        active = true,
        activated_at = now()
    where models.model_version = p_model_version and not models.active;
    return query select p_model_version, app.current_txid();
end;
$$;

comment on function app.activate_deep_recall_model(text) is
'Makes one version of embeddings the one that is served, null none; returns it and the '
'transaction.';
