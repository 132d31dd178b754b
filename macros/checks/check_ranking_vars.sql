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
    {%- for one, other in [
        ('suggestion_weight_shared_rate', 'suggestion_weight_affinity_rate'),
        ('discovery_weight_closeness_rate', 'discovery_weight_growth_rate'),
    ] -%}
        {%- if (var(one) + var(other) - 1) | abs > 0.000001 or not 0 <= var(one) <= 1 -%}
            {{ exceptions.raise_compiler_error(one ~ ' and ' ~ other ~ ' must add up to 1') }}
        {%- endif -%}
    {%- endfor -%}
    {#- A post is forgotten as seen after the seen window; it must have left the feed by then. -#}
    {%- if var('post_window_days') > var('seen_window_days') -%}
        {{ exceptions.raise_compiler_error(
            'post_window_days must not be above seen_window_days, ' ~ var('seen_window_days')
            ~ ', or a post comes back: ' ~ var('post_window_days')
        ) }}
    {%- endif -%}
    {#- Hours of videos live 90 days (raw.video_ranking_signals_1h); beyond, nothing would be expected. -#}
    {%- if (1 + var('trending_baseline_windows')) * 7 > 89 -%}
        {{ exceptions.raise_compiler_error(
            'trending_baseline_windows must not be above 11, or the baseline of a week is longer than '
            ~ 'hours of videos are kept: ' ~ var('trending_baseline_windows')
        ) }}
    {%- endif -%}
{%- endmacro -%}

{%- macro project_vars_that_must_be_positive() -%}
    {{ return([
        'search_saturation',
        'search_query_tokens',
        'search_candidates_videos',
        'search_statistics_refresh_seconds',
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
        'trending_baseline_windows',
        'trending_half_life_windows',
        'trending_least_expected_points',
        'trending_least_expected_creators',
        'trending_uses_window_hours',
        'trending_chart_uses',
        'trending_categories',
        'trending_sample_videos',
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
        'trending_uses_refresh_seconds',
        'trending_posts_refresh_seconds',
        'follower_refresh_seconds',
        'growth_window_hours',
        'suggestion_followers_sample_users',
        'suggestion_most_followings_users',
        'growing_chart_users',
        'suggestion_read_followees_users',
        'suggestion_followees_users',
        'suggestion_second_degree_users',
        'suggestion_affinity_users',
        'suggested_users',
        'co_watch_refresh_seconds',
        'co_watch_window_days',
        'co_watch_viewers',
        'co_watch_per_viewer_creators',
        'co_watch_similar_creators',
        'discovery_watched_creators',
        'discovery_growing_creators',
        'creators_to_discover',
    ]) }}
{%- endmacro -%}
