{#- What it says that two users follow the same one: much where few do, little where everybody does.
    1 for a single follower, 0.5 for 3, 0.1 for 1,023, 0.05 for a million. -#}
{%- macro rarity(followers) -%}
1 / log2(1 + greatest(1, {{ followers }}))
{%- endmacro -%}
