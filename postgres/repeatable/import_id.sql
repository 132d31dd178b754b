-- import_id(space, id): where an id of a foreign data set lives among ours.
--
-- Foreign ids are small numbers that start again at 0 in every space: viewer 7 and creator 7 of
-- one data set are two people, and both would meet user 7 who signed up here. Each space is
-- moved behind an offset of its own, far above what our identity columns reach. The parser
-- refuses ids too long for their space, so that spaces cannot run into each other.
create or replace function app.import_id(p_space text, p_id bigint)
returns bigint
language sql
immutable
parallel safe
as $$
    select p_id + case p_space
        when 'kuairand.viewer' then 1000000000
        when 'kuairand.creator' then 2000000000
        when 'kuairand.video' then 1000000000
        when 'kuairand.sound' then 1000000000
        when 'hackernews.author' then 3000000000
        when 'hackernews.post' then 3000000000
        -- Made up, for the posts of others.
        when 'reader' then 4000000000
        -- 64-bit numbers of their makers, unlike anything of ours.
        when 'tiktok.creator' then 0
        when 'tiktok.video' then 0
        when 'tiktok.sound' then 0
    end
$$;

comment on function app.import_id(text, bigint) is
'Id in our tables of an id from an imported data set; null for an unknown space.';
