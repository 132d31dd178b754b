-- The categories with a chart of sounds.
select category
from nova.trending_sounds_hourly
where
    category != ''
    and rank = 1
order by category
