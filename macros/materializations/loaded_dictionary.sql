{#- A ClickHouse dictionary: rows of a query, held in memory and looked up by key (macro `lookup`).

    Its columns and their types are those of the model's description, its key the config's `key`.
    It is loaded anew like a `refreshed_table` is filled anew: by the refreshing worker after
    `refresh_after_landing`, and every `refresh_seconds` by itself, or by that worker where the
    engine loads none by itself. A load builds a new dictionary
    and exchanges it, so a lookup sees the old rows or the new ones. Every node of a cluster loads
    its own. -#}
{%- materialization loaded_dictionary, adapter='clickhouse' -%}
    {%- set dictionary = this.incorporate(type='dictionary') -%}
    {%- set cluster = on_cluster_clause(dictionary) -%}
    {%- set seconds = config.require('refresh_seconds') -%}
    {{ run_hooks(pre_hooks) }}
    {%- call statement('main') -%}
        create or replace dictionary {{ dictionary }} {{ cluster }} (
            {% for column in model.columns.values() -%}
            `{{ column.name }}` {{ column.data_type }}{{ ', ' if not loop.last }}
            {%- endfor %}
        )
        primary key {{ config.require('key') | join(', ') }}
        source(clickhouse(
            user '{{ target.user }}' password '{{ target.password }}' db '{{ dictionary.schema }}'
            query '{{ sql | replace('\\', '\\\\') | replace("'", "\\'") }}'
        ))
        layout({{ 'complex_key_hashed_array()' if config.require('key') | length > 1 else 'hashed_array()' }})
        lifetime(min {{ seconds }} max {{ seconds }})
        comment '{{ refreshed_after_landing(graph.nodes[model.unique_id]) }}'
    {%- endcall -%}
    {%- do run_query('system reload dictionary ' ~ dictionary ~ ' ' ~ cluster) -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [dictionary]}) }}
{%- endmaterialization -%}
