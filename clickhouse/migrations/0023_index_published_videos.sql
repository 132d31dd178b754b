-- What counts the uses of sounds and hashtags looks at the videos of some days, and not at the
-- catalogue: it finds them by this index, and then reads them by key.
--
-- Unlike the time of a post this one changes, once, from 1970 to when the video became public. So
-- the index only says which videos have a version of these days; their key says what is true now.
alter table raw.videos ${on_cluster} -- noqa: PRS
add index if not exists published_at_minmax published_at type minmax granularity 1;

alter table raw.videos ${on_cluster} -- noqa: PRS
materialize index published_at_minmax;
