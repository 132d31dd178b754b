{#- A ClickHouse view with {name:Type} arguments. dbt-clickhouse has no such materialization.

    `create or replace` exchanges the view atomically: a query sees the old one or the new one.
    An enforced contract is checked on the query with a default value for each argument, before
    anything is replaced: a view of the wrong shape is never served. -#}
{%- materialization parameterized_view, adapter='clickhouse' -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {{ run_hooks(pre_hooks) }}
    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(with_default_arguments(sql)) }}
    {%- endif -%}
    {%- call statement('main') -%}
        create or replace view {{ target_relation }} {{ on_cluster_clause(target_relation) }} as
        {{ sql }}
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization -%}

{#- The same query with the default value of its type in place of each argument. -#}
{%- macro with_default_arguments(sql) -%}
    {%- set ns = namespace(sql=sql) -%}
    {%- for name, type in modules.re.findall('\\{(\\w+):([^{}]+)\\}', sql) -%}
        {%- set value = "defaultValueOfTypeName('" ~ type | replace("'", "\\'") ~ "')" -%}
        {%- set ns.sql = ns.sql | replace('{' ~ name ~ ':' ~ type ~ '}', value) -%}
    {%- endfor -%}
    {{ return(ns.sql) }}
{%- endmacro -%}
