{#- Arguments of a search; see macros/serving/parameters.sql. -#}

{%- macro search_query() -%} {search_query:String} {%- endmacro -%}

{%- macro correction() -%} {correction:String} {%- endmacro -%}

{%- macro is_relaxed() -%} {is_relaxed:Bool} {%- endmacro -%}

{%- macro creator_ids() -%} {creator_ids:Array(UInt64)} {%- endmacro -%}

{%- macro categories() -%} {categories:Array(String)} {%- endmacro -%}

{%- macro published_from() -%} {published_from:DateTime64(3, 'UTC')} {%- endmacro -%}

{%- macro published_until() -%} {published_until:DateTime64(3, 'UTC')} {%- endmacro -%}

{#- What a query asks for, a column of search__terms each. -#}

{%- macro asked_tokens() -%} {asked_tokens:Array(String)} {%- endmacro -%}

{%- macro corrected_tokens() -%} {corrected_tokens:Array(String)} {%- endmacro -%}

{%- macro scarce_tokens() -%} {scarce_tokens:Array(String)} {%- endmacro -%}

{%- macro token_hashes() -%} {token_hashes:Array(UInt64)} {%- endmacro -%}

{%- macro token_weights() -%} {token_weights:Array(Float64)} {%- endmacro -%}

{%- macro mean_tokens() -%} {mean_tokens:Array(Float64)} {%- endmacro -%}

{#- In how many documents a token is; 0 for one that nobody wrote, or nobody when last counted. -#}
{%- macro documents_with(token) -%}
{{ lookup(ref('dict_search_terms'), 'documents', token, keys='term') }}
{%- endmacro -%}

{#- All documents (count). -#}
{%- macro search_documents() -%}
{{ lookup(ref('dict_search_fields'), 'documents', "'title'", keys='field') }}
{%- endmacro -%}

{#- Tokens of a field per document (mean); 1 where nothing is known, so that lengths do not matter. -#}
{%- macro mean_tokens_of(field) -%}
{{ lookup(
        ref('dict_search_fields'),
        'tokens_per_document',
        "'" ~ field ~ "'",
        keys='field',
        otherwise='toFloat64(1)',
    ) }}
{%- endmacro -%}

{#- How often a token is in a field, from an element of `occurrences`. -#}
{%- macro times_in(field, occurrence) -%}
bitAnd(bitShiftRight({{ occurrence }}, {{ {'title': 16, 'hashtags': 8, 'description': 0}[field] }}), 255)
{%- endmacro -%}

{#- Whose token it is: as much of its hash as an element of `occurrences` has. -#}
{%- macro token_hash(token) -%}
cityHash64({{ token }}) % 1099511627776
{%- endmacro -%}

{%- macro hash_of(occurrence) -%}
intDiv({{ occurrence }}, 16777216)
{%- endmacro -%}

{#- A word, and each of what is left of it without one of its characters: two words that have one of
    these in common are a letter too many, too few, another letter or two swapped ones apart. Only of
    words that begin with a letter and are of a length that is misspelled. -#}
{%- macro spellings(word) -%}
if(
        lengthUTF8({{ word }}) between
        {{ var('search_correction_least_characters') }} and {{ var('search_correction_most_characters') }}
        and match({{ word }}, '^\\p{L}[\\p{L}\\p{M}\\p{N}]+$'),
        arrayDistinct(
            arrayPushFront(
                arrayMap(
                    place -> concat(
                        substringUTF8({{ word }}, 1, place - 1), substringUTF8({{ word }}, place + 1)
                    ),
                    range(1, toUInt64(lengthUTF8({{ word }}) + 1))
                ),
                {{ word }}
            )
        ),
        []
    )
{%- endmacro -%}
