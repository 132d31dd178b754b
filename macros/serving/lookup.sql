{#- What a dictionary has under a key: one column, or a tuple of several; `otherwise`, or default values
    of their types, when it has nothing. A dictionary of two key columns is asked with a tuple.

    A unit test gives the dictionary as rows, which are gone through instead. -#}
{%- macro lookup(dictionary, columns, key, keys, otherwise=none) -%}
{%- set values = columns if columns is string else '(' ~ columns | join(', ') ~ ')' -%}
{%- set names = "'" ~ columns ~ "'" if columns is string else "('" ~ columns | join("', '") ~ "')" -%}
{%- if '__dbt__cte__' in dictionary | string -%}
{%- set rows -%}
arrayFilter(
            row -> row.1 = {{ key }},
            (
                select groupArray(({{ keys if keys is string else '(' ~ keys | join(', ') ~ ')' }}, {{ values }}))
                from {{ dictionary }}
            )
        )
{%- endset -%}
{%- if otherwise -%}
if(empty({{ rows }}), {{ otherwise }}, {{ rows }}[1].2)
{%- else -%}
{{ rows }}[1].2
{%- endif -%}
{%- elif otherwise -%}
dictGetOrDefault('{{ dictionary.schema }}.{{ dictionary.identifier }}', {{ names }}, {{ key }}, {{ otherwise }})
{%- else -%}
dictGet('{{ dictionary.schema }}.{{ dictionary.identifier }}', {{ names }}, {{ key }})
{%- endif -%}
{%- endmacro -%}

{#- The signals of a video that no viewer changes; is_public is 0 for one that is not there. -#}
{%- macro signals_of(video_id) -%}
{{ lookup(
        ref('dict_video_signals'),
        ['creator_id', 'published_at', 'completion', 'engagement', 'is_public'],
        video_id,
        keys='video_id',
    ) }}
{%- endmacro -%}

{#- The videos of a list, in its order; none of a list that is not there. -#}
{%- macro videos_of(list, id='toUInt64(0)') -%}
{{ lookup(
        ref('dict_candidate_lists'),
        'video_ids',
        '(' ~ list ~ ', ' ~ id ~ ')',
        keys=['list', 'id'],
    ) }}
{%- endmacro -%}

{#- Whose a video is; creator 0 for one that is not there, who is a creator like any other. -#}
{%- macro creator_of(video_id) -%}
{{ lookup(ref('dict_video_signals'), 'creator_id', video_id, keys='video_id') }}
{%- endmacro -%}

{#- When a video was or will be public; 1970 for one that is not there. -#}
{%- macro published_of(video_id) -%}
{{ lookup(ref('dict_video_signals'), 'published_at', video_id, keys='video_id') }}
{%- endmacro -%}

{#- The weights of a variant, in the order of the signals of `weighted_mean`; of `default` when nobody
    defined it. -#}
{%- macro weights_of(variant) -%}
{%- set weights = [
    'weight_freshness',
    'weight_completion',
    'weight_engagement',
    'weight_affinity',
    'weight_deep_model',
] -%}
{{ lookup(
            ref('dict_ranking_weights'),
            weights,
            variant,
            keys='variant',
            otherwise=lookup(ref('dict_ranking_weights'), weights, "'default'", keys='variant'),
        ) }}
{%- endmacro -%}
