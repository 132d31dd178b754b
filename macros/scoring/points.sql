{#- Reactions as one number; what each is worth are vars (`<what>_points_per_<reaction>`). -#}
{%- macro engagement_points(likes, shares, comments) -%}
(
        {{ var('engagement_points_per_like') }} * {{ likes }}
        + {{ var('engagement_points_per_share') }} * {{ shares }}
        + {{ var('engagement_points_per_comment') }} * {{ comments }}
    )
{%- endmacro -%}

{%- macro post_engagement_points(likes, comments, shares) -%}
(
        {{ var('post_engagement_points_per_like') }} * {{ likes }}
        + {{ var('post_engagement_points_per_comment') }} * {{ comments }}
        + {{ var('post_engagement_points_per_share') }} * {{ shares }}
    )
{%- endmacro -%}

{%- macro affinity_points(likes, comments) -%}
(
        {{ var('affinity_points_per_like') }} * {{ likes }}
        + {{ var('affinity_points_per_comment') }} * {{ comments }}
    )
{%- endmacro -%}

{%- macro post_affinity_points(likes, comments, views) -%}
(
        {{ var('post_affinity_points_per_like') }} * {{ likes }}
        + {{ var('post_affinity_points_per_comment') }} * {{ comments }}
        + {{ var('post_affinity_points_per_view') }} * {{ views }}
    )
{%- endmacro -%}
