{#- What one viewer has, as a scalar: ClickHouse evaluates equal scalars once per query, and does
    not plan them again where they are used a second time, as it does a subquery in `in (…)`. -#}

{#- Whom the viewer has affinity with, most first: (affinities, creators). `column` names them. -#}
{%- macro viewer_history(affinity, column='creator_id') -%}
(
            select arrayReverseSort(groupArray((signals.affinity, signals.{{ column }})))
            from {{ affinity }} as signals
            where signals.viewer_id = {{ viewer_id() }}
        )
{%- endmacro -%}

{#- All values of a column, which must be few. -#}
{%- macro array_of(relation, column) -%}
(
            (select groupArray(listed.{{ column }}) from {{ relation }} as listed)
        )
{%- endmacro -%}

{#- Whom the viewer follows, the latest first: (times, users). -#}
{%- macro viewer_followees(followees) -%}
(
            select arrayReverseSort(groupArray((followed.followed_at, followed.user_id)))
            from {{ followees }} as followed
        )
{%- endmacro -%}

{#- Of these, whom suggestions are made from: the users. -#}
{%- macro viewer_latest_followees(followees) -%}
arraySlice(
                    tupleElement({{ viewer_followees(followees) }}, 2),
                    1,
                    {{ var('suggestion_followees_users') }}
                )
{%- endmacro -%}

{#- What was asked for this viewer: their variant, and what their session was shown. -#}
{%- macro variant_of(viewer_id) -%}
{{ variants() }}[indexOf({{ viewer_ids() }}, {{ viewer_id }})]
{%- endmacro -%}

{%- macro shown_to(viewer_id) -%}
{{ shown_lists() }}[indexOf({{ viewer_ids() }}, {{ viewer_id }})]
{%- endmacro -%}
