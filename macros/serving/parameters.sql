{#- Arguments of a serving view. One macro each, so that a unit test can pin one value per name. -#}

{%- macro viewer_id() -%} {viewer_id:UInt64} {%- endmacro -%}

{#- Many viewers in one statement: the i-th of each of these three belongs together. -#}
{%- macro viewer_ids() -%} {viewer_ids:Array(UInt64)} {%- endmacro -%}

{%- macro variants() -%} {variants:Array(String)} {%- endmacro -%}

{%- macro shown_lists() -%} {shown:Array(Array(UInt64))} {%- endmacro -%}

{%- macro as_of() -%} {as_of:DateTime64(3, 'UTC')} {%- endmacro -%}

{%- macro variant() -%} {variant:String} {%- endmacro -%}

{%- macro chart_window() -%} {chart_window:String} {%- endmacro -%}

{%- macro places() -%} {places:UInt32} {%- endmacro -%}

{%- macro shown() -%} {shown:Array(UInt64)} {%- endmacro -%}
