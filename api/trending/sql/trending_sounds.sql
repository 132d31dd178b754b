-- The chart of sounds of a category, top first, with samples that are public now.
select
    sound_id,
    name,
    usage_count,
    rank,
    growth,
    counted_at,
    arrayFilter(
        video -> dictGet('nova.dict_video_signals', 'is_public', video) = 1, video_samples
    ) as samples

from nova.trending_sounds_hourly
where category = {category:String}
order by rank
limit {limit:UInt16}
