{#- Stops a run whose vars cannot make a ranking, before any model is touched. -#}
{%- macro check_ranking_vars() -%}
    {%- for name in ['completion_prior_rate', 'engagement_prior_rate', 'affinity_without_history_rate'] -%}
        {%- if not 0 <= var(name) <= 1 -%}
            {{ exceptions.raise_compiler_error(name ~ ' must be from 0 to 1, not ' ~ var(name)) }}
        {%- endif -%}
    {%- endfor -%}
    {%- for name in project_vars_that_must_be_positive() -%}
        {%- if var(name) <= 0 -%}
            {{ exceptions.raise_compiler_error(name ~ ' must be above 0, not ' ~ var(name)) }}
        {%- endif -%}
    {%- endfor -%}
    {#- A post is forgotten as seen after the seen window; it must have left the feed by then. -#}
    {%- if var('post_window_days') > var('seen_window_days') -%}
        {{ exceptions.raise_compiler_error(
            'post_window_days must not be above seen_window_days, ' ~ var('seen_window_days')
            ~ ', or a post comes back: ' ~ var('post_window_days')
        ) }}
    {%- endif -%}
{%- endmacro -%}

{%- macro project_vars_that_must_be_positive() -%}
    {{ return([
        'freshness_span_hours',
        'completion_prior_views',
        'engagement_prior_views',
        'affinity_window_days',
        'seen_window_days',
        'followee_window_hours',
        'followee_candidates_videos',
        'trending_candidates_videos',
        'affinity_candidates_videos',
        'affinity_candidates_per_creator_videos',
        'trending_chart_videos',
        'feed_videos',
        'fill_below_videos',
        'saturation_window_places',
        'saturation_per_creator_places',
        'post_freshness_decay_per_hour',
        'post_window_days',
        'followee_candidates_posts',
        'trending_candidates_posts',
        'affinity_candidates_authors',
        'affinity_candidates_posts',
        'affinity_candidates_per_author_posts',
        'trending_chart_posts',
        'feed_posts',
        'fill_below_posts',
        'post_saturation_window_places',
        'post_saturation_head_places',
        'video_refresh_seconds',
        'post_refresh_seconds',
        'trending_refresh_seconds',
        'trending_posts_refresh_seconds',
    ]) }}
{%- endmacro -%}
