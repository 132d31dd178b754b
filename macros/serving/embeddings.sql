{#- Embeddings in memory. A vector is its direction, a byte per dimension: 127 times the value, so the
    product of two is a whole number and the same however it is added up. Keys are the ids of videos
    mixed with a number of the version: what is found under one version's number is of that version,
    also while another is being loaded. -#}

{#- A vector as it is kept. -#}
{%- macro packed_vector(vector) -%}
reinterpret(arrayMap(value -> toInt8(round(127 * value)), L2Normalize({{ vector }})), 'String')
{%- endmacro -%}

{#- The number of a version. -#}
{%- macro version_number(model_version) -%}
bitShiftRight(sipHash64({{ model_version }}), 1)
{%- endmacro -%}

{#- The key of a video's vector, and that of a cluster. -#}
{%- macro video_key(video_id, version_number) -%} bitXor({{ video_id }}, {{ version_number }}) {%- endmacro -%}

{%- macro cluster_key(cluster_id, version_number) -%}
bitOr(toUInt64(9223372036854775808), bitXor(toUInt64({{ cluster_id }}), {{ version_number }}))
{%- endmacro -%}

{#- Of these clusters the one whose centre is nearest to a vector. -#}
{%- macro nearest_centre(cluster_ids, centres, vector) -%}
arrayReduce(
                'argMax',
                {{ cluster_ids }},
                arrayMap(centre -> arrayDotProduct(centre, {{ vector }}), {{ centres }})
            )
{%- endmacro -%}

{#- Where the directory is: the number of the version, then the keys of its clusters. -#}
{%- macro directory_key() -%} toUInt64(18446744073709551615) {%- endmacro -%}

{%- macro embedding_directory() -%}
{{ lookup(ref('dict_embeddings'), 'ids', directory_key(), keys='vector_key') }}
{%- endmacro -%}

{#- The vector under a key; empty when there is none. -#}
{%- macro vector_of(key) -%}
reinterpret({{ lookup(ref('dict_embeddings'), 'vector', key, keys='vector_key') }}, 'Array(Int8)')
{%- endmacro -%}

{#- The videos of a cluster. -#}
{%- macro videos_near(key) -%}
{{ lookup(ref('dict_embeddings'), 'ids', key, keys='vector_key') }}
{%- endmacro -%}

{#- How much two vectors point the same way: the cosine, times 127 · 127. A vector that is not there
    points nowhere. -#}
{%- macro likeness(one, other) -%}
arrayDotProduct({{ one }}, arrayResize({{ other }}, length({{ one }})))
{%- endmacro -%}
