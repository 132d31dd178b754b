-- search__corrections(search_query): the query with each word that is in no video replaced by the
-- most similar one that is in some, or nothing where there is none: fewest letters apart first,
-- then what most videos have.
{{ config(materialized='parameterized_view') }}

with

cut as (

    select
        arraySlice(
            nova_search_words({{ search_query() }}), 1, {{ var('search_query_tokens') }}
        ) as words

),

known as (

    select groupArray(term) as terms
    from {{ ref('sig_term__documents') }}
    where term in (select arrayJoin(cut.words) from cut)

),

misspelled as (

    select
        word,
        arrayJoin({{ spellings('word') }}) as spelling

    from (
        select arrayJoin(cut.words) as word
        from cut
    ) as asked
    where not has((select known.terms from known), word)

),

spelled as (

    select
        spelling,
        term,
        documents
    from {{ ref('cand_term__spellings') }}
    where spelling in (select misspelled.spelling from misspelled)

),

corrected as (

    select
        misspelled.word as word,
        argMin(
            spelled.term,
            (
                editDistanceUTF8(misspelled.word, spelled.term),
                -toInt64(spelled.documents),
                spelled.term
            )
        ) as term
    from misspelled
    inner join spelled on misspelled.spelling = spelled.spelling
    group by word

),

-- One row: the words that have a correction, and each one's.
corrections as (

    select (groupArray(word), groupArray(term)) as pairs
    from corrected

),

replaced as (

    select
        words,
        arrayMap(
            word -> if(has(wrong, word), better[indexOf(wrong, word)], word),
            words
        ) as right_words

    from (
        select
            words,
            (select corrections.pairs from corrections) as found_pairs,
            tupleElement(found_pairs, 1) as wrong,
            tupleElement(found_pairs, 2) as better
        from cut
    ) as known_pairs

)

select if(right_words = words, '', arrayStringConcat(right_words, ' ')) as corrected_query
from replaced
