-- import_columns(format): the columns of a file format we import, in file order, and what a
-- value of each must look like. The header check and the row check both read this.
--
-- kind: integer (not negative, at most `digits` digits), decimal (the same before the point),
-- flag (0 or 1), boolean (true or false), time_ms and time_s (epoch), date, id_list (integers
-- between spaces), text, text_list (JSON array of strings), unread (we take nothing from it).
create or replace function app.import_columns(p_format text)
returns table (
    place bigint,
    column_name text,
    kind text,
    digits integer,
    is_required boolean
)
language sql
immutable
as $$
    select
        row_number() over (partition by known.format order by known.place) as place,
        known.column_name,
        known.kind,
        known.digits,
        known.is_required
    from (
        values
        ('kuairand.videos', 1, 'video_id', 'integer', 9, true),
        ('kuairand.videos', 2, 'author_id', 'integer', 9, true),
        ('kuairand.videos', 3, 'video_type', 'unread', 0, false),
        ('kuairand.videos', 4, 'upload_dt', 'date', 0, true),
        ('kuairand.videos', 5, 'upload_type', 'unread', 0, false),
        ('kuairand.videos', 6, 'visible_status', 'unread', 0, false),
        ('kuairand.videos', 7, 'video_duration', 'decimal', 9, false),
        ('kuairand.videos', 8, 'server_width', 'unread', 0, false),
        ('kuairand.videos', 9, 'server_height', 'unread', 0, false),
        ('kuairand.videos', 10, 'music_id', 'integer', 10, false),
        ('kuairand.videos', 11, 'music_type', 'unread', 0, false),
        ('kuairand.videos', 12, 'tag', 'text', 0, false),

        ('kuairand.log', 1, 'user_id', 'integer', 9, true),
        ('kuairand.log', 2, 'video_id', 'integer', 9, true),
        ('kuairand.log', 3, 'date', 'unread', 0, false),
        ('kuairand.log', 4, 'hourmin', 'unread', 0, false),
        ('kuairand.log', 5, 'time_ms', 'time_ms', 0, true),
        ('kuairand.log', 6, 'is_click', 'unread', 0, false),
        ('kuairand.log', 7, 'is_like', 'flag', 0, true),
        ('kuairand.log', 8, 'is_follow', 'flag', 0, true),
        ('kuairand.log', 9, 'is_comment', 'flag', 0, true),
        ('kuairand.log', 10, 'is_forward', 'flag', 0, true),
        ('kuairand.log', 11, 'is_hate', 'flag', 0, true),
        ('kuairand.log', 12, 'long_view', 'unread', 0, false),
        ('kuairand.log', 13, 'play_time_ms', 'integer', 9, true),
        ('kuairand.log', 14, 'duration_ms', 'integer', 9, true),
        ('kuairand.log', 15, 'profile_stay_time', 'unread', 0, false),
        ('kuairand.log', 16, 'comment_stay_time', 'unread', 0, false),
        ('kuairand.log', 17, 'is_profile_enter', 'flag', 0, true),
        ('kuairand.log', 18, 'is_rand', 'unread', 0, false),
        ('kuairand.log', 19, 'tab', 'unread', 0, false),

        ('kuairand.history', 1, 'user_id', 'integer', 9, true),
        ('kuairand.history', 2, 'history_len', 'integer', 9, true),
        ('kuairand.history', 3, 'last_time_ms', 'time_ms', 0, true),
        ('kuairand.history', 4, 'watch_seq', 'id_list', 9, false),
        ('kuairand.history', 5, 'like_seq', 'id_list', 9, false),
        ('kuairand.history', 6, 'long_watch_seq', 'id_list', 9, false),

        ('tiktok.videos', 1, 'video_id', 'integer', 19, true),
        ('tiktok.videos', 2, 'creator_id', 'integer', 19, true),
        ('tiktok.videos', 3, 'title', 'text', 0, false),
        ('tiktok.videos', 4, 'created_at', 'time_s', 0, true),
        ('tiktok.videos', 5, 'duration_s', 'integer', 6, true),
        ('tiktok.videos', 6, 'sound_id', 'integer', 19, false),
        ('tiktok.videos', 7, 'sound_name', 'text', 0, false),
        ('tiktok.videos', 8, 'sound_original', 'boolean', 0, false),
        ('tiktok.videos', 9, 'hashtags', 'text_list', 0, false),
        ('tiktok.videos', 10, 'likes', 'integer', 15, true),
        ('tiktok.videos', 11, 'shares', 'integer', 15, true),
        ('tiktok.videos', 12, 'plays', 'integer', 15, true),
        ('tiktok.videos', 13, 'comments', 'integer', 15, true),

        ('hackernews.stories', 1, 'author_id', 'integer', 9, true),
        ('hackernews.stories', 2, 'id', 'integer', 9, true),
        ('hackernews.stories', 3, 'time', 'time_s', 0, true),
        ('hackernews.stories', 4, 'score', 'integer', 9, true),
        ('hackernews.stories', 5, 'descendants', 'integer', 9, false),
        ('hackernews.stories', 6, 'title', 'text', 0, true)
    ) as known (format, place, column_name, kind, digits, is_required)
    where known.format = p_format
$$;

comment on function app.import_columns(text) is
'One row per column of an importable file format, in file order: name, kind, size.';
