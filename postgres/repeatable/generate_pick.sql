-- generate_pick(words, draw): the word that a draw in [0, 1) falls on.
create or replace function app.generate_pick(p_words text[], p_draw double precision)
returns text
language sql
immutable
parallel safe
return p_words[1 + floor(p_draw * cardinality(p_words))::integer];

comment on function app.generate_pick(text[], double precision) is
'One of the words, chosen by a number in [0, 1).';
