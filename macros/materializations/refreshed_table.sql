{#- A table that ClickHouse itself fills again every `refresh_seconds`: table `<model>`, and the
    refreshable view `<model>_mv` that writes it. A refresh builds a new table and exchanges it,
    so readers see the old rows or the new ones, never a part.

    dbt-clickhouse's own `materialized_view` is not used: on a second run it keeps the old columns
    and, with --full-refresh, the rows of the old query. Here every run ends with the table filled
    by the query of this run:

    1. stop the old view (its table goes on being served, only older by this build)
    2. fill a new table, contract and all; it fails here or not at all
    3. exchange the two, atomically; drop the old one
    4. create the view; `empty` means that its first refresh is at its next turn

    `refresh_after` names models whose refresh this one's follows: a chain of two is then as old as
    its first part, not as old as both together. The view waits for the one of that name, also when
    that is dropped and made again.

    `refresh_after_landing` says that it need not wait for its turn: the refreshing worker
    (api/workers/refreshing.py) refreshes it as soon as rows have landed that it is made of, the
    first of a chain as step 1 and what is refreshed after it as step 2.

    A run that dies between 1 and 4 leaves a table nobody refreshes; the next run repairs it. -#}
{%- materialization refreshed_table, adapter='clickhouse' -%}
    {%- set table = this.incorporate(type='table') -%}
    {%- set next_table = make_intermediate_relation(table) -%}
    {%- set view = api.Relation.create(schema=table.schema, identifier=table.identifier ~ '_mv') -%}
    {%- set cluster = on_cluster_clause(table) -%}
    {{ run_hooks(pre_hooks) }}
    {%- do run_query('drop table if exists ' ~ next_table ~ ' ' ~ cluster ~ ' sync') -%}
    {%- do run_query('drop table if exists ' ~ view ~ ' ' ~ cluster ~ ' sync') -%}
    {%- call statement('main') -%}
        {{ get_create_table_as_sql(False, next_table, sql) }}
    {%- endcall -%}
    {%- if load_cached_relation(this) is none -%}
        {%- do run_query('rename table ' ~ next_table ~ ' to ' ~ table ~ ' ' ~ cluster) -%}
    {%- else -%}
        {%- do run_query('exchange tables ' ~ next_table ~ ' and ' ~ table ~ ' ' ~ cluster) -%}
        {%- do run_query('drop table if exists ' ~ next_table ~ ' ' ~ cluster ~ ' sync') -%}
    {%- endif -%}
    {%- call statement('create_refreshable_view') -%}
        create materialized view {{ view }} {{ cluster }}
        refresh every {{ config.require('refresh_seconds') }} second
        {% for model in config.get('refresh_after', []) -%}
        {{ 'depends on ' if loop.first else ', ' }}{{ table.schema }}.`{{ model }}_mv`
        {%- endfor %}
        to {{ table }} empty as
        {{ sql }}
        comment '{{ refreshed_after_landing(graph.nodes[model.unique_id]) }}'
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [table]}) }}
{%- endmaterialization -%}
