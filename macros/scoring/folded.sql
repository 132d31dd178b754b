{#- A text as it is compared: without case, widths, forms of one character, and the accents and
    strokes of Latin, Greek and Cyrillic letters. Marks that make another letter, as of kana, and
    vowel signs stay. Searches fold as much and more (nova_search_words): whatever is one text here
    is found by the same words there. -#}
{%- macro folded(text) -%}
normalizeUTF8NFC(
        replaceRegexpAll(
            normalizeUTF8NFD(
                translateUTF8(normalizeUTF8NFKCCasefold({{ text }}), 'ıøłđ', 'iold')
            ),
            '[\\x{0300}-\\x{036F}\\x{FE0E}\\x{FE0F}]',
            ''
        )
    )
{%- endmacro -%}
