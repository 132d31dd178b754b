{#- What a reel shows, as one column: ranking carries it along untouched and reads no table for it. -#}
{%- macro reel_card() -%}
cast(
        (
            title,
            duration_ms,
            view_count,
            like_count,
            share_count,
            comment_count,
            completion_rate,
            thumbnail_url,
            created_at
        ),
        {{ reel_card_type() }}
    )
{%- endmacro -%}

{#- The type of `reel_card()`, quoted. -#}
{%- macro reel_card_type() -%}
'Tuple(
            title String,
            duration_ms UInt32,
            view_count UInt64,
            like_count UInt64,
            share_count UInt64,
            comment_count UInt64,
            completion_rate Float64,
            thumbnail_url String,
            created_at DateTime64(3, \'UTC\')
        )'
{%- endmacro -%}
