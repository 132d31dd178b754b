-- Every user the viewer may be suggested, what speaks for them, and their score (0 to a million).
with

-- How common following each of the viewer's followees is.
rarities as (

    select
        user_id,
        {{ rarity('followers') }} as rarity

    from {{ ref('sig_user__followers') }}
    where
        user_id in (
            select arrayJoin({{ viewer_latest_followees(ref('cand_viewer_user__followed')) }})
        )

),

history as (

    select
        arrayJoin(arraySlice(
            {{ viewer_history(ref('sig_viewer_creator__affinity')) }},
            1,
            {{ var('suggestion_affinity_users') }}
        )) as favourite

),

-- Events outlive accounts.
favourites as (

    select
        favourite.2 as user_id,
        0 as shared_user_id,
        favourite.1 as affinity,
        0 as growth_rank,
        0 as gained,
        0 as rarity

    from history
    where
        favourite.2 in (
            select known.user_id
            from {{ source('raw', 'users_current') }} as known
            where known.user_id in (select history.favourite.2 from history)
        )

),

-- Whom of the viewer's followees each candidate follows, exactly: two keys, few of both.
common as (

    select
        follower_id,
        followee_id

    from {{ source('raw', 'follows_current') }}
    where
        follower_id in (
            select sharing.user_id from {{ ref('cand_viewer_user__second_degree') }} as sharing
            union all
            select favourites.user_id from favourites
        )
        and followee_id in (
            select arrayJoin({{ viewer_latest_followees(ref('cand_viewer_user__followed')) }})
        )

),

-- Nothing is known yet of a user who has their first follower since the last refresh: rarity 1.
shared as (

    select
        common.follower_id as user_id,
        common.followee_id as shared_user_id,
        0 as affinity,
        0 as growth_rank,
        0 as gained,
        if(rarities.rarity = 0, 1, rarities.rarity) as rarity

    from common
    left join rarities on common.followee_id = rarities.user_id

),

growing as (

    select
        user_id,
        0 as shared_user_id,
        0 as affinity,
        rank as growth_rank,
        gained,
        0 as rarity

    from {{ ref('growing_users') }}
    where chart = 'users'

),

facts as (

    select * from shared
    union all
    select * from favourites
    union all
    select * from growing

),

users as (

    select
        user_id,
        countIf(rarity > 0) as shared_follows,
        sum(rarity) as points,
        arrayMap(
            pair -> pair.2,
            arraySlice(
                arrayReverseSort(groupArrayIf((rarity, shared_user_id), rarity > 0)),
                1,
                {{ var('suggestion_named_users') }}
            )
        ) as shared_user_ids,
        max(affinity) as affinity,
        max(growth_rank) as growth_rank,
        max(gained) as gained

    from facts
    where
        user_id not in tupleElement({{ viewer_followees(ref('cand_viewer_user__followed')) }}, 2)
        and user_id not in {{ array_of(ref('cand_viewer_creator__excluded'), 'creator_id') }}
    group by user_id

),

-- Signals first, their sum in a step of its own: ClickHouse analyses an alias anew at each use.
signals as (

    select
        user_id,
        shared_follows,
        shared_user_ids,
        affinity,
        growth_rank,
        gained,
        shared_follows = 0 and affinity = 0 as is_fill,
        if(points > 0, points / max(points) over (), 0) as shared,
        countIf(shared_follows > 0 or affinity > 0) over () as candidates

    from users

)

select
    user_id,
    shared_follows,
    shared_user_ids,
    affinity,
    growth_rank,
    gained,
    is_fill,
    shared,
    toUInt32(round(1000000 * (
        {{ var('suggestion_weight_shared_rate') }} * shared
        + {{ var('suggestion_weight_affinity_rate') }} * affinity
    ))) as score_ppm
from signals
where
    not is_fill
    or candidates < {{ var('suggestion_fill_below_users') }}
