-- The categories with a chart of hashtags.
select category
from nova.trending_hashtags_hourly
where
    category != ''
    and rank = 1
order by category
