-- creators_to_discover(viewer_id, as_of): creators a viewer does not follow, best first, and why.
{{ config(
    materialized='parameterized_view',
    inline_views=['raw.follows_current', 'raw.blocks_current'],
) }}

with

-- Where nothing speaks for a creator, whom most follow comes first: the end of the growth chart.
ranked as (

    select
        creator_id,
        score_ppm,
        closeness,
        close_creator_ids,
        gained,
        row_number() over (
            order by
                score_ppm desc,
                growth_rank = 0 asc,
                growth_rank asc,
                creator_id desc
        ) as position

    from {{ ref('score_viewer_creator__discovered') }}

)

select
    toUInt32(position) as position,
    creator_id,
    score_ppm,
    {{ reasons({
        'watched_together': 'closeness > 0',
        'growing': 'gained > 0',
    }) }} as reasons,
    closeness,
    close_creator_ids,
    gained as followers_gained
from ranked
where position <= {{ var('creators_to_discover') }}
