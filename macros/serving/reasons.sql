{#- The names of the reasons that apply, in this order; `popular` when none does. -#}
{%- macro reasons(conditions) -%}
arrayFilter(
        reason -> reason != '',
        [
            {%- for reason, condition in conditions.items() %}
            if({{ condition }}, '{{ reason }}', ''),
            {%- endfor %}
            if(not ({{ conditions.values() | join(' or ') }}), 'popular', '')
        ]
    )
{%- endmacro -%}
