{#- Tells the API that what it serves was built anew, so that cached first pages are not reused.
    Tests alone build nothing; a failed run counts too if a part of it was built. -#}
{%- macro record_release(results) -%}
    {%- set built = namespace(any=false) -%}
    {%- for result in results if execute -%}
        {%- if result.node.resource_type in ['model', 'seed'] and result.status == 'success' -%}
            {%- set built.any = true -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if built.any -%}
        {%- set releases = api.Relation.create(schema=target.schema, identifier='ranking_releases') -%}
        {%- do run_query(create_ranking_releases(releases)) -%}
        insert into {{ releases }} (released_at, invocation_id)
        values ({{ run_at() }}, '{{ invocation_id }}')
    {%- endif -%}
{%- endmacro -%}

{%- macro create_ranking_releases(releases) -%}
create table if not exists {{ releases }} {{ on_cluster_clause(releases) }} (
    released_at DateTime64(3, 'UTC') comment 'When the run ended (UTC)',
    invocation_id String comment 'The dbt run'
)
engine = {{ 'ReplicatedMergeTree()' if target.name == 'cluster' else 'MergeTree()' }}
order by released_at
ttl toDateTime(released_at) + interval 30 day
comment 'One row per dbt run that changed what is served.'
{%- endmacro -%}
