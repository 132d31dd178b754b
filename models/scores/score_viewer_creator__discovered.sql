-- Every creator the viewer may discover, what speaks for them, and their score from 0 to a million.
with

watched as (

    select
        creator_id,
        weight

    from {{ ref('cand_viewer_creator__watched') }}

),

-- A bounded number for each creator the viewer watches.
similarities as (

    select
        creator_id,
        similar_creator_id,
        similarity

    from {{ ref('sig_creator_creator__similarity') }}
    where creator_id in (select watched.creator_id from watched)

),

close as (

    select
        similarities.similar_creator_id as creator_id,
        similarities.creator_id as watched_creator_id,
        0 as growth_rank,
        0 as growth,
        0 as gained,
        watched.weight * similarities.similarity as point

    from watched
    inner join similarities on watched.creator_id = similarities.creator_id

),

-- How these grew, who need not be on the chart.
grown as (

    select
        user_id as creator_id,
        0 as watched_creator_id,
        0 as growth_rank,
        growth,
        gained,
        0 as point

    from {{ ref('sig_user__followers') }}
    where user_id in (select similarities.similar_creator_id from similarities)

),

growing as (

    select
        user_id as creator_id,
        0 as watched_creator_id,
        rank as growth_rank,
        growth,
        gained,
        0 as point

    from {{ ref('growing_users') }}
    where
        chart = 'creators'
        and rank <= {{ var('discovery_growing_creators') }}

),

facts as (

    select * from close
    union all
    select * from grown
    union all
    select * from growing

),

creators as (

    select
        creator_id,
        sum(point) as points,
        arrayMap(
            pair -> pair.2,
            arraySlice(
                arrayReverseSort(groupArrayIf((point, watched_creator_id), point > 0)),
                1,
                {{ var('suggestion_named_users') }}
            )
        ) as close_creator_ids,
        max(growth_rank) as growth_rank,
        max(growth) as growth,
        max(gained) as gained

    from facts
    where
        creator_id not in tupleElement({{ viewer_followees(ref('cand_viewer_user__followed')) }}, 2)
        and creator_id not in {{ array_of(ref('cand_viewer_creator__excluded'), 'creator_id') }}
    group by creator_id

),

-- Signals first, their sum in a step of its own: ClickHouse analyses an alias anew at each use.
signals as (

    select
        creator_id,
        growth,
        close_creator_ids,
        growth_rank,
        gained,
        if(points > 0, points / max(points) over (), 0) as closeness

    from creators

)

select
    creator_id,
    closeness,
    growth,
    close_creator_ids,
    growth_rank,
    gained,
    toUInt32(round(1000000 * (
        {{ var('discovery_weight_closeness_rate') }} * closeness
        + {{ var('discovery_weight_growth_rate') }} * growth
    ))) as score_ppm
from signals
