-- Where the videos of the served version are crowded: the centres of their clusters, by k-means
-- over a sample. What is near a viewer is looked for in the clusters near them.
-- depends_on: {{ ref('emb_video__in_database') }}
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('embedding_refresh_seconds'),
    refresh_after=['emb_video__in_database'],
    order_by='cluster_id',
) }}

-- How often centres are moved to the middle of their videos.
{%- set rounds = [0, 1, 2] -%}

-- Nobody's name when none is active.
{%- set served_version -%}
ifNull(
            (
                select argMax(models.model_version, models.activated_at)
                from {{ source('raw', 'deep_recall_models_current') }} as models
                where models.active
            ),
            ''
        )
{%- endset %}

with

sampled as (

    select
        video_id,
        L2Normalize(embedding) as vector

    from {{ source('raw', 'video_embeddings_current') }}
    where
        model_version = {{ served_version }}
        and video_id in (select cards.video_id from {{ ref('video_signals') }} as cards)
    order by sipHash64(video_id)
    limit {{ var('deep_recall_sample_videos') }}

),

-- Some of them, to begin with.
centres_0 as (

    select vector
    from sampled
    order by sipHash64(video_id)
    limit {{ var('deep_recall_clusters') }}

),

{% for round in rounds -%}
centres_{{ round + 1 }} as (

    select L2Normalize(arrayMap(total -> toFloat32(total), sumForEach(vector))) as vector
    from (
        select
            vector,
            {{ nearest_centre(
                'arrayEnumerate((select groupArray(begun.vector) from centres_' ~ round ~ ' as begun))',
                '(select groupArray(begun.vector) from centres_' ~ round ~ ' as begun)',
                'vector',
            ) }} as cluster_id
        from sampled
    ) as assigned
    group by cluster_id

),

{% endfor -%}
numbered as (

    select
        vector,
        row_number() over (order by vector) as cluster_id

    from centres_{{ rounds | length }}

)

select
    cluster_id,
    vector,
    {{ served_version }} as model_version
from numbered
settings max_threads = 1, max_block_size = 256
