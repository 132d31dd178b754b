-- search__terms(search_query, correction, is_relaxed): one row, the tokens of a query and of its
-- correction, what each says, and which of them are in so few videos that all of these can be
-- looked at. What search__reels is asked with: as arguments they are planned once, and not wherever
-- they are named.
{{ config(materialized='parameterized_view') }}

with

cut as (

    select
        arraySlice(
            nova_query_tokens({{ search_query() }}), 1, {{ var('search_query_tokens') }}
        ) as asked,
        arraySlice(
            nova_query_tokens({{ correction() }}), 1, {{ var('search_query_tokens') }}
        ) as corrected

),

counted as (

    select
        asked,
        corrected,
        -- The rarest first.
        arraySort(
            arrayMap(
                token -> (
                    greatest(1, {{ documents_with('token') }}), token, {{ documents_with('token') }}
                ),
                arrayDistinct(arrayConcat(asked, corrected))
            )
        ) as counts

    from cut

),

summed as (

    select
        asked,
        corrected,
        counts,
        arrayCumSum(tupleElement(counts, 1)) as documents

    from counted

)

select
    asked as asked_tokens,
    if(empty(corrected), asked, corrected) as corrected_tokens,
    arrayFilter(
        (token, sum_so_far, place) -> sum_so_far <= {{ var('search_candidates_videos') }}
        or (place = 1 and {{ is_relaxed() }}),
        tupleElement(counts, 2),
        documents,
        arrayEnumerate(documents)
    ) as scarce_tokens,
    toBool(not arrayExists(counted -> counted.3 = 0 and has(asked, counted.2), counts))
        as are_known,
    arrayMap(counted -> {{ token_hash('counted.2') }}, counts) as token_hashes,
    arrayMap(
        counted -> {{ term_rarity('counted.1', search_documents()) }}
        * if(has(asked, counted.2), 1, {{ var('search_correction_weight_rate') }}),
        counts
    ) as token_weights,
    [
        {{ mean_tokens_of('title') }},
        {{ mean_tokens_of('hashtags') }},
        {{ mean_tokens_of('description') }}
    ] as mean_tokens
from summed
