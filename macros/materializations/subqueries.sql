{#- The same query with every common table expression written where it is used.

    Why: ClickHouse 26.9 analyses the expressions of a `with` again and again inside a
    parameterized view, nested ones most: one feed took 570 ms to plan instead of 190. People
    read and test the query with names; only the stored view is written like this.

    A query may begin with `with a as (…), b as (…)`, and so may each of these. A name stands
    after `from`, after `join`, or alone in `in (…)`. -#}
{%- macro subqueries(sql) -%}
    {%- set code = modules.re.sub('--[^\\n]*', '', sql) -%}
    {%- set code = modules.re.sub('`(__dbt__cte__\\w+)`', '\\1', code) -%}
    {{ return(subqueries_of(code, {})) }}
{%- endmacro -%}

{%- macro subqueries_of(sql, outer) -%}
    {%- set ns = namespace(rest=sql.strip(), known=dict(outer), more=true) -%}
    {%- set first = modules.re.match('with\\s+', ns.rest) -%}
    {%- if first -%}
        {%- set ns.rest = ns.rest[first.end():] -%}
        {%- for _ in range(100) if ns.more -%}
            {%- set head = modules.re.match('(\\w+)\\s+as\\s*\\(', ns.rest) -%}
            {%- set end = closing_parenthesis(ns.rest, head.end() - 1) -%}
            {%- do ns.known.update({
                head.group(1): subqueries_of(ns.rest[head.end():end], ns.known)
            }) -%}
            {%- set ns.rest = ns.rest[end + 1:].strip() -%}
            {%- set ns.more = ns.rest.startswith(',') -%}
            {%- if ns.more -%}
                {%- set ns.rest = ns.rest[1:].strip() -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- for name, query in ns.known.items() -%}
        {%- set text = '(\n' ~ query | replace('\\', '\\\\') ~ '\n)' -%}
        {%- set ns.rest = modules.re.sub(
            '\\b(from|join)\\s+' ~ name ~ '(?=\\s+as\\s)', '\\1 ' ~ text, ns.rest
        ) -%}
        {%- set ns.rest = modules.re.sub(
            '\\b(from|join)\\s+' ~ name ~ '(?![\\w.(])', '\\1 ' ~ text ~ ' as ' ~ name, ns.rest
        ) -%}
        {%- set ns.rest = modules.re.sub('\\bin\\s+\\(' ~ name ~ '\\)', 'in ' ~ text, ns.rest) -%}
    {%- endfor -%}
    {{ return(ns.rest) }}
{%- endmacro -%}

{#- Where the parenthesis that opens at `start` closes; those inside quotes do not count. -#}
{%- macro closing_parenthesis(sql, start) -%}
    {%- set ns = namespace(depth=0, end=-1) -%}
    {%- for token in modules.re.finditer("'(?:[^'\\\\]|\\\\.)*'|[()]", sql[start:]) if ns.end < 0 -%}
        {%- if token.group() == '(' -%}
            {%- set ns.depth = ns.depth + 1 -%}
        {%- elif token.group() == ')' -%}
            {%- set ns.depth = ns.depth - 1 -%}
            {%- if ns.depth == 0 -%}
                {%- set ns.end = start + token.start() -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if ns.end < 0 -%}
        {{ exceptions.raise_compiler_error('a parenthesis is not closed: ' ~ sql[start:start + 80]) }}
    {%- endif -%}
    {{ return(ns.end) }}
{%- endmacro -%}
