-- One row per viewer of a range of ids and creator they have reacted to within 90 days: three in
-- five of those they follow, and others, drawn as follows are. Who follows many reacts to many.
insert into raw.user_author_90d (
    user_id,
    author_id,
    day,
    likes,
    comments,
    views,
    shares
)
with

-- From 0 to 1, always the same one for the same purpose and ids.
(purpose, id_1, id_2)
-> bitShiftRight(cityHash64({seed:UInt64}, purpose, id_1, id_2), 11) / 9007199254740992 as draw,

viewers as (

    select
        follower_id as viewer_id,
        groupArray(followee_id) as followees,
        toUInt32({others_per_viewer:Float64} * count() / {follows_per_viewer:Float64}) as others

    from raw.follows_current
    where
        follower_id >= {from_id:UInt64}
        and follower_id < {to_id:UInt64}
    group by follower_id

),

pairs as (

    select
        viewer_id,
        arrayJoin(
            arrayDistinct(
                arrayConcat(
                    arrayFilter(
                        creator_id -> draw('reacts', viewer_id, creator_id) < 0.6,
                        followees
                    ),
                    arrayMap(
                        number -> toUInt64(
                            floor(
                                {creators:UInt64}
                                * pow((number + draw('others', viewer_id, number)) / others, 2.5)
                            )
                        ),
                        range(others)
                    )
                )
            )
        ) as creator_id

    from viewers

)

select
    viewer_id as user_id,
    creator_id as author_id,
    -- Not the last days of the window: they would leave it while the world is in use.
    toDate({as_of:DateTime64(3, 'UTC')})
    - toUInt32(floor(86 * draw('day', viewer_id, creator_id))) as day,
    1 + toUInt32(floor(-2 * ln(1 - draw('likes', viewer_id, creator_id)))) as likes,
    draw('comments', viewer_id, creator_id) < 0.2 as comments,
    likes + toUInt32(floor(8 * draw('views', viewer_id, creator_id))) as views,
    draw('shares', viewer_id, creator_id) < 0.05 as shares
from pairs
