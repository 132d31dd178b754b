-- saturated_order(authors, shown_authors): the order in which a ranking of posts is served. Takes
-- the author of each post, best first, and those of the posts shown before, in the order they were
-- shown; returns the rank (1 is the best) of the post at each place.
--
-- Going down the ranking, each post takes the first free place that is at least `p_distance_places`
-- behind its author's previous post and, when there is such a post, behind the first
-- `p_head_places`. There are as many places as posts, behind those shown; who finds none goes to
-- the end, in order of rank, and places nobody could take are closed. Nothing is ever dropped.
--
-- Of the posts shown the last count, as many as those two numbers reach back; what is null has a
-- place and no author.
create or replace function app.saturated_order(
    p_author_ids bigint[],
    p_shown_author_ids bigint[] default '{}',
    p_distance_places integer default 3,
    p_head_places integer default 5
)
returns integer[]
language plpgsql
immutable
parallel safe
as $$
declare
    v_shown constant integer := coalesce(cardinality(p_shown_author_ids), 0);
    v_last constant integer := v_shown + coalesce(cardinality(p_author_ids), 0);
    -- Of each place the next that may be free; a chain of them ends at one that is.
    v_next integer[] := array(select generate_series(1, v_last + 1));
    -- Of each post, shown or not, its place and its author's previous post.
    v_places integer[] := array(select generate_series(1, v_last));
    v_previous integer[];
    v_place integer;
    v_step integer;
begin
    v_previous := array(
        select lag(posts.number) over (partition by posts.author_id order by posts.number)
        from unnest(p_shown_author_ids || p_author_ids)
        with ordinality as posts (author_id, number)
        order by posts.number
    );

    for v_post in v_shown + 1 .. v_last loop
        v_place := v_shown + 1;
        if v_previous[v_post] is not null then
            v_place := greatest(
                v_place, v_places[v_previous[v_post]] + p_distance_places, p_head_places + 1
            );
        end if;
        v_place := least(v_place, v_last + 1);

        -- On the way to a free place, every place passed is made to point further on.
        while v_next[v_place] <> v_place loop
            v_step := v_next[v_place];
            v_next[v_place] := v_next[v_step];
            v_place := v_step;
        end loop;

        v_places[v_post] := v_place;
        if v_place <= v_last then
            v_next[v_place] := v_place + 1;
        end if;
    end loop;

    return array(
        select posts.number - v_shown
        from unnest(v_places) with ordinality as posts (place, number)
        where posts.number > v_shown
        order by
            posts.place,
            posts.number
    );
end;
$$;

comment on function app.saturated_order(bigint[], bigint[], integer, integer) is
'Ranks of posts in the order they are served, so that posts of one author stand apart.';
