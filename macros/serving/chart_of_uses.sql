{#- The charts of what videos are made with: one row per category and place. A relation.

    `uses` has one row per video and item it uses: item, name, video_id, creator_id, category,
    windows_before, points. The category '' is all; of the others only those have charts in which
    most is used. A creator counts once per window in what is expected and in what grew, however
    many videos it made; the count of uses is of videos. -#}
{%- macro chart_of_uses(uses) -%}
(
        select
            category,
            rank,
            item,
            name,
            usage_count,
            creators,
            expected_creators,
            growth,
            video_samples
        from (
            select
                *,
                {{ growth('creators', 'expected_creators', var('trending_least_expected_creators')) }}
                    as growth,
                dense_rank() over (
                    order by
                        category_uses desc,
                        category
                ) as category_rank,
                toUInt32(
                    row_number() over (
                        partition by category
                        order by
                            growth desc,
                            usage_count desc,
                            item desc
                    )
                ) as rank
            from (
                select
                    chart_category as category,
                    item,
                    sum(uses) as usage_count,
                    sum(usage_count) over (partition by chart_category) as category_uses,
                    countIf(windows_before = 0) as creators,
                    {{ expected_of_baseline('sum(' ~ baseline_weight('windows_before') ~ ')') }}
                        as expected_creators,
                    arraySort(
                        named -> (-named.2, named.1), cast(sumMap(names), 'Array(Tuple(String, Int64))')
                    )[1].1 as name,
                    arrayMap(
                        sample -> toUInt64(-sample.2),
                        groupArraySortedMerge({{ var('trending_sample_videos') }})(best_videos)
                    ) as video_samples
                from (
                    select
                        chart_category,
                        item,
                        windows_before,
                        creator_id,
                        countIf(windows_before = 0) as uses,
                        sumMapIf(map(name, toUInt64(1)), windows_before = 0) as names,
                        groupArraySortedStateIf({{ var('trending_sample_videos') }})(
                            (-points, -toInt64(video_id)), windows_before = 0
                        ) as best_videos
                    from {{ uses }}
                    array join arrayDistinct(['', toString(category)]) as chart_category
                    group by
                        chart_category,
                        item,
                        windows_before,
                        creator_id
                ) as used_by_creators
                group by
                    chart_category,
                    item
                having usage_count > 0
            ) as used
        ) as ranked
        where
            rank <= {{ var('trending_chart_uses') }}
            and category_rank <= 1 + {{ var('trending_categories') }}
    )
{%- endmacro -%}
