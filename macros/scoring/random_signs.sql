{#- As many signs, +1 or -1, as an embedding computed here has dimensions: the bits of a hash. The same
    for the same id, always; those of two ids have nothing to do with each other. -#}
{%- macro random_signs(id) -%}
arrayMap(bit -> 2 * bitTest(sipHash64({{ id }}), bit) - 1, range(64))
{%- endmacro -%}
