-- How well a video answers a query: BM25F over title, hashtags and description.
with

candidates as (

    select * from {{ ref('cand_query_video__reels') }}

),

measured as (

    select
        video_id,
        creator_id,
        published_at,
        version,
        arrayFilter(one -> has({{ token_hashes() }}, {{ hash_of('one') }}), occurrences)
            as hits,
        arraySum(one -> {{ times_in('title', 'one') }}, occurrences) as title_tokens,
        arraySum(one -> {{ times_in('hashtags', 'one') }}, occurrences) as hashtags_tokens,
        arraySum(one -> {{ times_in('description', 'one') }}, occurrences) as description_tokens

    from candidates

),

frequent as (

    select
        video_id,
        creator_id,
        published_at,
        version,
        arrayMap(
            one -> (
                {{ token_weights() }}[
                    indexOf({{ token_hashes() }}, {{ hash_of('one') }})
                ],
                {% for field in ['title', 'hashtags', 'description'] -%}
                {{ '+ ' if not loop.first }}{{ field_frequency(
                    times_in(field, 'one'),
                    field ~ '_tokens',
                    mean_tokens() ~ '[' ~ loop.index ~ ']',
                    var('search_weight_' ~ field),
                    var('search_length_' ~ field ~ '_rate'),
                ) }}
                {% endfor -%}
            ),
            hits
        ) as terms

    from measured

)

select
    video_id,
    creator_id,
    published_at,
    version,
    arraySum(
        term -> term.1 * {{ saturated_frequency('term.2', var('search_saturation')) }}, terms
    ) as relevance
from frequent
