-- Of a range of videos, those a model version has no embedding of, or one made before they changed:
-- what the model is told of each, a column per input.
--
-- What has landed only now is left for a moment: its rows carry the time their landing began, and a
-- newer version that is still on its way must not look older than an embedding made meanwhile.
with

known as (

    select
        video_id,
        max(generated_at) - toIntervalSecond({settled_seconds:UInt32}) as covered_until
    from raw.video_embeddings
    where
        model_version = {model_version:String}
        and video_id between {first_id:UInt64} and {last_id:UInt64}
    group by video_id

),

videos as (

    select *
    from nova.video_features
    where
        video_id between {first_id:UInt64} and {last_id:UInt64}
        and changed_at >= {since:DateTime64(3, 'UTC')}
        and changed_at <= {until:DateTime64(3, 'UTC')}

)

-- A video without an embedding is covered until 1970.
select videos.* except (changed_at) -- noqa: AM04
from videos
left join known on videos.video_id = known.video_id
where videos.changed_at > known.covered_until
order by videos.video_id
