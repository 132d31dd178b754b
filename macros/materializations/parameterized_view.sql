{#- A ClickHouse view with {name:Type} arguments. dbt-clickhouse has no such materialization.

    `create or replace` exchanges the view atomically: a query sees the old one or the new one.
    An enforced contract is checked on the query with a default value for each argument, before
    anything is replaced: a view of the wrong shape is never served.
    `inline_views` names views whose text is written in, as it is now: a view that groups costs
    25 ms of planning in the middle of a large query, its text next to nothing. Building such a
    view builds what is downstream of it too (`dbt build -s view+`).
    `bind` gives arguments a fixed value: two views can share one body and differ in what they
    ask for. -#}
{%- materialization parameterized_view, adapter='clickhouse' -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set query = with_arguments(
        without_views(
            subqueries(sql),
            config.get('inline_views', [])
        ),
        config.get('bind', {})
    ) -%}
    {{ run_hooks(pre_hooks) }}
    {%- if config.get('contract').enforced -%}
        {{ get_assert_columns_equivalent(with_default_arguments(query)) }}
    {%- endif -%}
    {%- call statement('main') -%}
        create or replace view {{ target_relation }} {{ on_cluster_clause(target_relation) }} as
        {{ query }}
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization -%}

{#- The same query with a value in place of each argument named in `values`. -#}
{%- macro with_arguments(sql, values) -%}
    {%- set ns = namespace(sql=sql) -%}
    {%- for name, type in modules.re.findall('\\{(\\w+):([^{}]+)\\}', sql) if name in values -%}
        {%- set ns.sql = ns.sql | replace('{' ~ name ~ ':' ~ type ~ '}', values[name]) -%}
    {%- endfor -%}
    {{ return(ns.sql) }}
{%- endmacro -%}

{#- The same query with the default value of its type in place of each argument. -#}
{%- macro with_default_arguments(sql) -%}
    {%- set values = {} -%}
    {%- for name, type in modules.re.findall('\\{(\\w+):([^{}]+)\\}', sql) -%}
        {%- do values.update({
            name: "defaultValueOfTypeName('" ~ type | replace("'", "\\'") ~ "')"
        }) -%}
    {%- endfor -%}
    {{ return(with_arguments(sql, values)) }}
{%- endmacro -%}

{#- The same query with the text of each of `views` in place of its name; those of the target schema
    go without it. -#}
{%- macro without_views(sql, views) -%}
    {%- set ns = namespace(sql=sql) -%}
    {%- for view in views -%}
        {%- set schema, name = (view if '.' in view else target.schema ~ '.' ~ view).split('.') -%}
        {%- set relation = api.Relation.create(schema=schema, identifier=name) -%}
        {%- set text = '(\n' ~ view_text(relation) ~ '\n) as ' -%}
        {%- set ns.sql = ns.sql | replace(relation ~ ' as ', text) -%}
        {%- set ns.sql = ns.sql | replace(relation ~ '', text ~ name) -%}
    {%- endfor -%}
    {{ return(ns.sql) }}
{%- endmacro -%}

{#- The query of a view, as ClickHouse keeps it. -#}
{%- macro view_text(view) -%}
    {%- set found = run_query(
        "select as_select from system.tables where database = '" ~ view.schema
        ~ "' and name = '" ~ view.identifier ~ "'"
    ) -%}
    {%- if found.rows | length == 0 -%}
        {{ exceptions.raise_compiler_error(view ~ ' is not built yet: build it first') }}
    {%- endif -%}
    {{ return(found.columns[0].values()[0]) }}
{%- endmacro -%}
