-- suggested_users(viewer_id, as_of): whom a viewer may want to follow, best first, and why.
{{ config(
    materialized='parameterized_view',
    inline_views=[
        'sig_viewer_creator__affinity',
        'raw.follows_current',
        'raw.blocks_current',
        'raw.users_current',
    ],
) }}

with

ranked as (

    select
        user_id,
        score_ppm,
        is_fill,
        shared_follows,
        shared_user_ids,
        affinity,
        gained,
        row_number() over (
            order by
                is_fill asc,
                score_ppm desc,
                growth_rank asc,
                user_id desc
        ) as position

    from {{ ref('score_viewer_user__suggested') }}

)

select
    toUInt32(position) as position,
    user_id,
    score_ppm,
    {{ reasons({
        'shared_follows': 'shared_follows > 0',
        'affinity': 'affinity > 0',
        'growing': 'is_fill and gained > 0',
    }) }} as reasons,
    toUInt32(shared_follows) as shared_follows,
    shared_user_ids,
    affinity,
    gained as followers_gained
from ranked
where position <= {{ var('suggested_users') }}
