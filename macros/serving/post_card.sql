{#- What a post shows of itself besides its author, as one column: ranking carries it along
    untouched and reads no table for it. -#}
{%- macro post_card() -%}
cast(
        (
            created_at,
            likes,
            comments,
            shares,
            exposures,
            dwell_ms_sum
        ),
        {{ post_card_type() }}
    )
{%- endmacro -%}

{#- The type of `post_card()`, quoted. -#}
{%- macro post_card_type() -%}
'Tuple(
            created_at DateTime64(3, \'UTC\'),
            likes UInt64,
            comments UInt64,
            shares UInt64,
            exposures UInt64,
            dwell_ms_sum UInt64
        )'
{%- endmacro -%}
