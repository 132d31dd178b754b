-- What a ranking looks up of embeddings, a row per key: the vector of each public video of one
-- version, the clusters with their best videos, and a directory of it all. One table, so that all
-- of it is of one version whenever it is read.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('embedding_refresh_seconds'),
    refresh_after=['emb_cluster__centre'],
    order_by='vector_key',
) }}

{%- set centres -%}
(
                select arraySort(groupArray((centre.cluster_id, centre.vector)))
                from {{ ref('emb_cluster__centre') }} as centre
            )
{%- endset -%}

{%- set served_version -%}
ifNull((select version.model_version from version), '')
{%- endset %}

with

version as (

    select any(model_version) as model_version
    from {{ ref('emb_cluster__centre') }}

),

videos as (

    select
        signals.video_id as video_id,
        signals.completion as completion,
        L2Normalize(embeddings.embedding) as vector

    from {{ source('raw', 'video_embeddings_current') }} as embeddings
    inner join {{ ref('video_signals') }} as signals on embeddings.video_id = signals.video_id
    where embeddings.model_version = {{ served_version }}

),

assigned as (

    select
        video_id,
        completion,
        {{ nearest_centre(
            'tupleElement(' ~ centres ~ ', 1)',
            'tupleElement(' ~ centres ~ ', 2)',
            'vector',
        ) }} as cluster_id

    from videos

),

clusters as (

    select
        cluster_id,
        groupArraySorted({{ var('deep_recall_per_cluster_videos') }})( -- noqa: LT01
            (-completion, video_id)
        ) as best

    from assigned
    group by cluster_id

),

keyed as (

    select
        {{ video_key('video_id', version_number(served_version)) }}
            as vector_key,
        {{ packed_vector('vector') }} as vector,
        emptyArrayUInt64() as ids

    from videos

    union all

    select
        {{ cluster_key('centres.cluster_id', version_number('centres.model_version')) }}
            as vector_key,
        {{ packed_vector('centres.vector') }} as vector,
        tupleElement(clusters.best, 2) as ids

    from {{ ref('emb_cluster__centre') }} as centres
    inner join clusters on centres.cluster_id = clusters.cluster_id

    union all

    select
        {{ directory_key() }} as vector_key,
        '' as vector,
        arrayPushFront(
            arraySort(groupArray({{ cluster_key('cluster_id', version_number('model_version')) }})),
            {{ version_number('any(model_version)') }}
        ) as ids

    from {{ ref('emb_cluster__centre') }}
    having count(*) > 0

)

select
    vector_key,
    vector,
    ids
from keyed
settings max_threads = 1, max_block_size = 256
