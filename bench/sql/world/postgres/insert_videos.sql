-- One row per video of a range of ids, published over the last 60 days, a fifth of them in the last
-- 72 hours: age is 60 days times the square of a draw. A few creators make most videos.
--
-- A video in twenty is the twin of the one before: by the same creator, of the same instant, and
-- played and liked as much. Nobody's ranking can tell them apart, so there are ties to break.
insert into app.videos (
    id, creator_id, category, title, hashtags, duration_ms, status, created_at, published_at
)
select
    drawn.video_id,
    drawn.creator_id,
    topics.topic,
    format(
        app.generate_pick(app.generate_words('title'), drawn.title_draw),
        app.generate_pick(topics.subjects, drawn.subject_draw)
    ),
    array[
        topics.topic,
        app.generate_pick(app.generate_words('hashtag'), drawn.hashtag_draw)
    ],
    5000 + floor(55000 * power(drawn.duration_draw, 2))::integer,
    case when drawn.is_published then 'published' else 'processing' end,
    drawn.published_at - interval '5 minutes',
    case when drawn.is_published then drawn.published_at end
from (
    select
        draws.video_id,
        floor(
            %(creators)s * power(app.generate_random(%(seed)s, 'creator', draws.twin_id), 1.5)
        )::bigint as creator_id,
        date_trunc(
            'milliseconds',
            %(as_of)s
            - interval '60 days' * power(app.generate_random(%(seed)s, 'age', draws.twin_id), 2)
        ) as published_at,
        app.generate_random(%(seed)s, 'status', draws.twin_id) >= 0.01 as is_published,
        app.generate_random(%(seed)s, 'topic', draws.video_id) as topic_draw,
        app.generate_random(%(seed)s, 'title', draws.video_id) as title_draw,
        app.generate_random(%(seed)s, 'subject', draws.video_id) as subject_draw,
        app.generate_random(%(seed)s, 'hashtag', draws.video_id) as hashtag_draw,
        app.generate_random(%(seed)s, 'duration', draws.video_id) as duration_draw
    from (
        select
            numbers.video_id,
            numbers.video_id - (mod(numbers.video_id, 20) = 1)::integer as twin_id
        from generate_series(%(from_id)s::bigint, %(to_id)s::bigint - 1) as numbers (video_id)
    ) as draws
) as drawn
inner join app.generate_topics() as topics
    on 1 + floor(12 * drawn.topic_draw)::integer = topics.topic_number
order by drawn.video_id
