{#- Arguments of a serving view. One macro each, so that a unit test can pin one value per name. -#}

{%- macro viewer_id() -%} {viewer_id:UInt64} {%- endmacro -%}

{%- macro as_of() -%} {as_of:DateTime64(3, 'UTC')} {%- endmacro -%}

{%- macro variant() -%} {variant:String} {%- endmacro -%}

{%- macro chart_window() -%} {chart_window:String} {%- endmacro -%}

{%- macro places() -%} {places:UInt32} {%- endmacro -%}

{%- macro shown() -%} {shown:Array(UInt64)} {%- endmacro -%}
