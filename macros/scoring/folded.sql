{#- A text as it is compared: without case, accents (of Latin, Greek and Cyrillic letters), widths
    and forms of one character. Marks that make another letter, as of kana, and vowel signs stay. -#}
{%- macro folded(text) -%}
normalizeUTF8NFC(
        replaceRegexpAll(
            normalizeUTF8NFD(normalizeUTF8NFKCCasefold({{ text }})),
            '[\\x{0300}-\\x{036F}\\x{FE0E}\\x{FE0F}]',
            ''
        )
    )
{%- endmacro -%}
