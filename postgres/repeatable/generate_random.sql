-- generate_random(seed, purpose, a, b): a number in [0, 1) that depends on its arguments alone.
-- Unlike random() after setseed(), it does not depend on the order in which rows are visited, so
-- the same seed makes the same world whatever the plan. `purpose` keeps two draws about one row
-- independent.
create or replace function app.generate_random(
    p_seed bigint, p_purpose text, p_a bigint, p_b bigint default 0
)
returns double precision
language sql
immutable
parallel safe
return (
    hashint8extended(p_a, hashint8extended(p_b, hashtextextended(p_purpose, p_seed)))
    & 9007199254740991
) / 9007199254740992.0::double precision;

comment on function app.generate_random(bigint, text, bigint, bigint) is
'Number in [0, 1) made of a seed, a purpose and up to two ids; always the same one.';
