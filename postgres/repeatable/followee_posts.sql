-- followee_posts(viewer, since, until, most): the newest posts of those a viewer follows.
--
-- Of whom they follow, the latest 5,000 count: nobody's timeline may hold a connection for long.
-- Reads in proportion to these and to `p_most`, however much anybody publishes. Each
-- round reads some posts of every author who may have more; whose last one read is not among the
-- newest has no more to give. Of the others there are at most `p_most` / posts per author, so four
-- times as many posts of each are no more rows in the next round.
--
-- Who follows many is mostly done sooner: enough of theirs are among the newest posts of all, ten
-- of which are read in the time it takes to ask one author.
create or replace function app.followee_posts(
    p_viewer_id bigint,
    p_since timestamptz,
    p_until timestamptz,
    p_most integer
)
returns table (post_id bigint, author_id bigint, created_at timestamptz)
language plpgsql
stable
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
    c_followees constant integer := 5000;

    v_authors bigint[];
    v_posts_each integer;
    v_reach integer;
    v_post_ids bigint[];
    v_author_ids bigint[];
    v_created_ats timestamptz[];
begin
    v_authors := array(
        select follows.followee_id
        from app.follows
        where
            follows.follower_id = p_viewer_id
            and not follows.deleted
        order by
            follows.created_at desc,
            follows.followee_id desc
        limit c_followees
    );

    if cardinality(v_authors) > p_most then
        v_reach := 4 * cardinality(v_authors);
        select
            coalesce(array_agg(theirs.id), '{}'),
            array_agg(theirs.author_id),
            array_agg(theirs.created_at)
        into v_post_ids, v_author_ids, v_created_ats
        from (
            select newest.*
            from (
                select
                    posts.id,
                    posts.author_id,
                    posts.created_at
                from app.posts
                where
                    not posts.deleted
                    and posts.created_at > p_since
                    and posts.created_at <= p_until
                order by
                    posts.created_at desc,
                    posts.id desc
                limit v_reach
            ) as newest
            -- "is true" keeps this a look into a hash table; a join would go through a list.
            where (newest.author_id in (select unnest(v_authors))) is true
            limit p_most
        ) as theirs;

        -- Enough, or all there are.
        if
            cardinality(v_post_ids) = p_most
            or v_reach > (
                select count(*)
                from (
                    select 1
                    from app.posts
                    where
                        not posts.deleted
                        and posts.created_at > p_since
                        and posts.created_at <= p_until
                    limit v_reach
                ) as all_there_are
            )
            then
            return query
            select * from unnest(v_post_ids, v_author_ids, v_created_ats);
            return;
        end if;
    end if;

    v_posts_each := greatest(1, p_most / greatest(1, cardinality(v_authors)));
    v_post_ids := '{}';
    v_author_ids := '{}';
    v_created_ats := '{}';
    while v_authors <> '{}' loop
        select
            array_agg(newest.id),
            array_agg(newest.author_id),
            array_agg(newest.created_at)
        into v_post_ids, v_author_ids, v_created_ats
        from (
            select
                kept.id,
                kept.author_id,
                kept.created_at
            from unnest(v_post_ids, v_author_ids, v_created_ats)
                as kept (id, author_id, created_at)
            where kept.author_id not in (select unnest(v_authors))
            union all
            select
                theirs.id,
                authors.author_id,
                theirs.created_at
            from unnest(v_authors) as authors (author_id)
            cross join lateral (
                select
                    posts.id,
                    posts.created_at
                from app.posts
                where
                    posts.author_id = authors.author_id
                    and not posts.deleted
                    and posts.created_at > p_since
                    and posts.created_at <= p_until
                order by
                    posts.created_at desc,
                    posts.id desc
                limit v_posts_each
            ) as theirs
            order by
                created_at desc,
                id desc
            limit p_most
        ) as newest;

        exit when v_posts_each >= p_most;
        v_authors := array(
            select authors.author_id
            from unnest(v_author_ids) as authors (author_id)
            group by authors.author_id
            having count(*) >= v_posts_each
        );
        v_posts_each := least(4 * v_posts_each, p_most);
    end loop;

    return query
    select * from unnest(v_post_ids, v_author_ids, v_created_ats);
end;
$$;

comment on function app.followee_posts(bigint, timestamptz, timestamptz, integer) is
'One row per post of the 5,000 a viewer followed last, newest first: the newest in a span of time.';
