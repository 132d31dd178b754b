{#- What a dictionary has under a key: one column, or a tuple of several; default values of their
    types when it has nothing. A dictionary of two key columns is asked with a tuple.

    A unit test gives the dictionary as rows, which are gone through instead. -#}
{%- macro lookup(dictionary, columns, key, keys) -%}
{%- set values = columns if columns is string else '(' ~ columns | join(', ') ~ ')' -%}
{%- set names = "'" ~ columns ~ "'" if columns is string else "('" ~ columns | join("', '") ~ "')" -%}
{%- if '__dbt__cte__' in dictionary | string -%}
arrayFirst(
        row -> row.1 = {{ key }},
        (
            select groupArray(({{ keys if keys is string else '(' ~ keys | join(', ') ~ ')' }}, {{ values }}))
            from {{ dictionary }}
        )
    ).2
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

{#- When a video was or will be public; 1970 for one that is not there. -#}
{%- macro published_of(video_id) -%}
{{ lookup(ref('dict_video_signals'), 'published_at', video_id, keys='video_id') }}
{%- endmacro -%}

{#- The first `limit` of a list, the greatest first. -#}
{%- macro first_of(list, limit) -%}
arraySlice(arrayReverseSort({{ list }}), 1, {{ limit }})
{%- endmacro -%}

{#- Of (video, source), those the viewer may be shown, each once where it comes first, as (video,
    source, signals). What has source 0 only keeps others away. -#}
{%- macro may_be_shown(videos) -%}
arrayFilter(
            video ->
                video.3.5 = 1
                and video.3.2 <= as_of
                and not has(excluded_creators, video.3.1),
            arrayMap(
                video -> (video.1, video.2, {{ signals_of('video.1') }}),
                arrayFilter(
                    (video, nth) -> nth = 1 and video.2 != 0,
                    {{ videos }},
                    arrayEnumerateUniq({{ videos }}.1)
                )
            )
        )
{%- endmacro -%}
