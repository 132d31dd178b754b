{#- BM25F: what a term of a query says, times how much a document has of it.
    Robertson & Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), 3.6. -#}

{#- How much it says that a document has a term: much where few do. Never below 0 (the 1 in it). -#}
{%- macro term_rarity(documents, all_documents) -%}
ln(1 + (greatest({{ all_documents }}, {{ documents }}) - {{ documents }} + 0.5) / ({{ documents }} + 0.5))
{%- endmacro -%}

{#- How often a term is in a field of this length, by what the field is worth: as often as it would
    be in one of mean length. -#}
{%- macro field_frequency(times, tokens, mean_tokens, weight, length_rate) -%}
{{ weight }} * {{ times }}
                / (1 - {{ length_rate }} + {{ length_rate }} * {{ tokens }} / {{ mean_tokens }})
{%- endmacro -%}

{#- A tenth time says less than a first: 0 for 0, 1 for 1, towards 1 + `saturation`. -#}
{%- macro saturated_frequency(frequency, saturation) -%}
{{ frequency }} * (1 + {{ saturation }}) / ({{ saturation }} + {{ frequency }})
{%- endmacro -%}
