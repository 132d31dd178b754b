{#- Rows that ClickHouse itself adds to a landing table every `refresh_seconds`: the refreshable view
    `<model>_mv`, which appends to `append_to`. Nothing is dropped and nothing is made anew: what the
    query gives is added, so it has to give what is new. A run replaces the view and appends once.

    `refresh_after` is as in `refreshed_table`. -#}
{%- materialization appended_on_schedule, adapter='clickhouse' -%}
    {%- set view = api.Relation.create(
        schema=this.schema, identifier=this.identifier ~ '_mv', type='view'
    ) -%}
    {%- set cluster = on_cluster_clause(view) -%}
    {%- set target_table = config.require('append_to') -%}
    {%- set columns = model.columns.values() | map(attribute='name') | join(', ') -%}
    {{ run_hooks(pre_hooks) }}
    {%- do run_query('drop table if exists ' ~ view ~ ' ' ~ cluster ~ ' sync') -%}
    {%- call statement('main') -%}
        insert into {{ target_table }} ({{ columns }})
        {{ sql }}
    {%- endcall -%}
    {%- call statement('create_refreshable_view') -%}
        create materialized view {{ view }} {{ cluster }}
        refresh every {{ config.require('refresh_seconds') }} second
        {% for model in config.get('refresh_after', []) -%}
        {{ 'depends on ' if loop.first else ', ' }}{{ view.schema }}.`{{ model }}_mv`
        {%- endfor %}
        append to {{ target_table }} empty as
        {{ sql }}
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': []}) }}
{%- endmaterialization -%}
