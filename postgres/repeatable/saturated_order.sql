-- saturated_order(authors, shown_authors): the order in which a ranking of posts is served. Takes
-- the author of each post, best first, and those of the last posts the session was shown, in the
-- order they were shown (five are enough; null is nobody); returns the rank (1 is the best) of the
-- post at each place.
--
-- Every place goes to the best post left whose author may have it: their last one is a whole window
-- of places ahead and, if they have one, the head is over. When nobody left may, the best post left
-- takes it: nothing is dropped. The numbers with defaults are vars of dbt_project.yml.
--
-- Linear: posts are looked at once, and one that must wait is next in line for its author. Looking
-- on begins only when all who wait in line may not have the place, so they are never more than may
-- not have a place: four authors in the head, two behind it.
create or replace function app.saturated_order(
    p_author_ids bigint[],
    p_shown_author_ids bigint[] default '{}',
    p_post_saturation_window_places integer default 3,
    p_post_saturation_head_places integer default 5
)
returns integer[]
language plpgsql
immutable
parallel safe
as $$
declare
    v_posts constant integer := coalesce(cardinality(p_author_ids), 0);
    v_shown constant integer := coalesce(cardinality(p_shown_author_ids), 0);
    -- Of each post, by rank: its author's best post, which stands for the author, and their next.
    v_authors integer[];
    v_nexts integer[];
    -- Of each author, at the rank that stands for them: the first place they may have, and the
    -- best of their posts that is left.
    v_may_from integer[] := array_fill(0, array[v_posts]);
    v_best_left integer[] := array(select generate_series(1, v_posts));
    -- Posts passed over, the best one of each author.
    v_in_line integer[] := '{}';
    v_look_from integer := 1;
    v_order integer[] := '{}';
    v_post integer;
    v_waiting integer;
    v_author integer;
begin
    select
        array_agg(posts.author order by posts.rank),
        array_agg(posts.next order by posts.rank)
    into v_authors, v_nexts
    from (
        select
            ranked.rank,
            min(ranked.rank) over (partition by ranked.author_id) as author,
            lead(ranked.rank) over (partition by ranked.author_id order by ranked.rank) as next
        from unnest(p_author_ids) with ordinality as ranked (author_id, rank)
    ) as posts;

    for v_place in 1 .. v_shown loop
        v_author := array_position(p_author_ids, p_shown_author_ids[v_place]);
        if v_author is not null then
            v_may_from[v_author] := greatest(
                v_place + p_post_saturation_window_places, p_post_saturation_head_places + 1
            );
        end if;
    end loop;

    for v_place in v_shown + 1 .. v_shown + v_posts loop
        v_post := null;
        foreach v_waiting in array v_in_line loop
            if v_may_from[v_authors[v_waiting]] <= v_place then
                v_post := least(v_post, v_waiting);
            end if;
        end loop;

        while v_post is null and v_look_from <= v_posts loop
            v_author := v_authors[v_look_from];
            if v_may_from[v_author] <= v_place then
                v_post := v_look_from;
            elsif v_best_left[v_author] = v_look_from then
                v_in_line := v_in_line || v_look_from;
            end if;
            v_look_from := v_look_from + 1;
        end loop;

        if v_post is null then
            v_post := (select min(waiting.rank) from unnest(v_in_line) as waiting (rank));
        end if;

        v_author := v_authors[v_post];
        v_order[v_place - v_shown] := v_post;
        v_best_left[v_author] := v_nexts[v_post];
        v_may_from[v_author] := greatest(
            v_place + p_post_saturation_window_places, p_post_saturation_head_places + 1
        );
        if v_post = any(v_in_line) then
            v_in_line := array_remove(v_in_line, v_post);
            if v_nexts[v_post] < v_look_from then
                v_in_line := v_in_line || v_nexts[v_post];
            end if;
        end if;
    end loop;

    return v_order;
end;
$$;

comment on function app.saturated_order(bigint[], bigint[], integer, integer) is
'Ranks of posts in the order they are served, so that posts of one author stand apart.';
