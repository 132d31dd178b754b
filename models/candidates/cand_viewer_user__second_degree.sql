-- Who follows whom the viewer follows, those first who share more of the viewer's rarer follows. Of
-- a user many follow only the sample is known here; what is shared is counted exactly afterwards.
select follower_id as user_id
from (
    select
        {{ rarity('followers') }} as rarity,
        arrayJoin(sampled_followers) as follower_id
    from {{ ref('sig_user__followers') }}
    where
        -- Of a constant array that is empty, `in` would read everybody.
        user_id in (
            select arrayJoin({{ viewer_latest_followees(ref('cand_viewer_user__followed')) }})
        )
) as followers
where
    follower_id not in tupleElement({{ viewer_followees(ref('cand_viewer_user__followed')) }}, 2)
    and follower_id not in {{ array_of(ref('cand_viewer_creator__excluded'), 'creator_id') }}
group by follower_id
order by
    sum(rarity) desc,
    user_id desc
limit {{ var('suggestion_second_degree_users') }}
