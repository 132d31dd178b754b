{#- What a model that says `refresh_after_landing` says to the refreshing worker, in its comment in
    ClickHouse: the landing tables it is made of, and its step. Both follow from the project: a
    source says what it is `landed_from`, a model's step is one more than those in `refresh_after`.
    A table that waits for its own turn ends the search: a landing does not change it. -#}
{%- macro refreshed_after_landing(node) -%}
    {%- if node.config.get('refresh_after_landing', false) -%}
        refreshed after landing of {{ landing_tables(node) | unique | sort | join(', ') -}}
        , step {{ refresh_step(node) }}
    {%- endif -%}
{%- endmacro -%}

{%- macro landing_tables(node) -%}
    {%- set found = [] -%}
    {%- for id in node.depends_on.nodes -%}
        {%- if id in graph.sources -%}
            {%- set table = graph.sources[id].meta.get('landed_from') -%}
            {%- if not table -%}
                {{ exceptions.raise_compiler_error(
                    id ~ ' does not say which landing table it is `landed_from`'
                ) }}
            {%- endif -%}
            {%- do found.append(table) -%}
        {%- elif id in graph.nodes -%}
            {%- set parent = graph.nodes[id] -%}
            {%- if parent.config.materialized != 'refreshed_table'
                or parent.config.get('refresh_after_landing', false) -%}
                {%- do found.extend(landing_tables(parent)) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro -%}

{%- macro refresh_step(node) -%}
    {%- set steps = [0] -%}
    {%- for id in node.depends_on.nodes if id in graph.nodes -%}
        {%- if graph.nodes[id].name in node.config.get('refresh_after', []) -%}
            {%- do steps.append(refresh_step(graph.nodes[id])) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(1 + steps | max) }}
{%- endmacro -%}
