-- register_deep_recall_model(version, provider, metrics): makes a version known, not active. Again
-- changes its metrics; its provider never changes, because its vectors are that provider's.
create or replace function app.register_deep_recall_model(
    p_model_version text,
    p_provider text,
    p_metrics jsonb default '{}'
)
returns void
language plpgsql
as $$
declare
    v_provider text;
begin
    insert into app.deep_recall_models as models (model_version, provider, dimensions, metrics)
    values (
        p_model_version,
        p_provider,
        coalesce(substring(p_model_version from '-([0-9]{2,3})d$')::integer, 0),
        p_metrics
    )
    on conflict on constraint deep_recall_models_pkey do update
    set
        metrics = excluded.metrics,
        deleted = false
    where models.metrics is distinct from excluded.metrics or models.deleted;
    select models.provider into v_provider
    from app.deep_recall_models as models
    where models.model_version = p_model_version;
    if v_provider is distinct from p_provider then
        perform app.refuse_input('NV400', 'provider', format('of this version is %s', v_provider));
    end if;
end;
$$;

comment on function app.register_deep_recall_model(text, text, jsonb) is
'Makes a version of embeddings known, or changes its metrics; activating it is another step.';
